"""``python run.py --selftest``: it names changed files, and whether decoding or the model differs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.edge.conftest import RunBundle, reseal


def test_it_passes_as_it_was_made(bundle: Path, run_bundle: RunBundle) -> None:
    done = run_bundle(bundle, "--selftest")
    assert (done.code, done.out.splitlines()[-1]) == (0, "The self-test passed."), done.out + done.err
    said = json.loads(run_bundle(bundle, "--selftest", "--json").out)
    assert said["passed"] is True
    assert [check["name"] for check in said["checks"]] == ["files", "decode and resize", "model"]
    assert said["checks"][1]["difference"] == 0
    assert 0 <= said["checks"][2]["difference"] < 1e-6 < said["checks"][2]["allowed"]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _nudge(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def _misspell(path: Path) -> None:
    path.write_text(path.read_text().replace('"bytes"', '"bytfs"', 1))


def _break(path: Path) -> None:
    path.write_text("def")


@pytest.mark.parametrize(
    ("name", "alter", "said"),
    [
        ("simple_cnn.onnx", _nudge, "simple_cnn.onnx has been changed."),
        ("simple_cnn.onnx", _truncate, "simple_cnn.onnx is truncated:"),
        ("simple_cnn.onnx", Path.unlink, "simple_cnn.onnx is missing."),
        ("golden/drawn.png", _nudge, "golden/drawn.png has been changed."),
        ("golden/pixels.npy", _truncate, "golden/pixels.npy is truncated:"),
        ("golden/golden.json", Path.unlink, "golden/golden.json is missing."),
        ("runner/images/resize.py", _nudge, "runner/images/resize.py has been changed."),
        ("runner/runtime.py", Path.unlink, "runner/runtime.py is missing."),
        ("runner/edge/selftest.py", _break, "runner/edge/selftest.py is truncated"),
        ("runner/edge/main.py", _break, "main.py"),
        ("runner/errors.py", Path.unlink, "runner.errors"),
        ("labels.txt", Path.unlink, "labels.txt is missing."),
        ("spec.json", Path.unlink, "spec.json is missing"),
        ("spec.json", _truncate, "spec.json is damaged"),
        ("spec.json", _misspell, "spec.json is damaged"),
    ],
)
def test_a_file_that_is_not_as_made_is_named(
    onnx_bundle: Path, run_bundle: RunBundle, name: str, alter: Callable[[Path], None], said: str
) -> None:
    alter(onnx_bundle / name)
    done = run_bundle(onnx_bundle, "--selftest")
    assert done.code == 6, done.out + done.err
    assert said in done.out + done.err
    assert "Traceback" not in done.err


def test_another_order_of_labels_is_noticed(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    path = onnx_bundle / "spec.json"
    values = json.loads(path.read_text())
    values["labels"].reverse()
    path.write_text(json.dumps(values))
    done = run_bundle(onnx_bundle, "--selftest")
    assert (done.code, "spec.json has been changed" in done.out) == (6, True)


def test_decoding_that_is_off_is_told_from_the_model(bundle: Path, run_bundle: RunBundle) -> None:
    picture = cv2.imread(str(bundle / "golden" / "drawn.png"), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(bundle / "golden" / "drawn.png"), np.clip(picture.astype(int) - [9, 9, 9, 0], 0, 255))
    reseal(bundle)
    done = run_bundle(bundle, "--selftest")
    assert done.code == 6
    assert re.search("FAIL  decode and resize: drawn.png differs by (9|10) of 255 levels", done.out)
    assert "ok    model: " in done.out


def test_a_model_that_is_off_is_told_from_decoding(bundle: Path, run_bundle: RunBundle) -> None:
    path = bundle / "golden" / "probabilities.npy"
    probabilities = np.load(path)
    probabilities[1, 3] += 0.01
    np.save(path, probabilities)
    reseal(bundle)
    done = run_bundle(bundle, "--selftest")
    assert done.code == 6
    assert "ok    decode and resize: " in done.out
    assert "FAIL  model: Maximum difference of a probability: 0.01, on photo-2.png." in done.out
    assert "Allowed: 0.0001." in done.out


def test_another_label_of_a_photo_fails_within_the_tolerance(bundle: Path, run_bundle: RunBundle) -> None:
    folder = bundle / "golden"
    golden, probabilities = json.loads((folder / "golden.json").read_text()), np.load(folder / "probabilities.npy")
    place = next(number for number, item in enumerate(golden["images"]) if item["origin"] == "photo")
    probabilities[place] = np.roll(probabilities[place], 1)
    np.save(folder / "probabilities.npy", probabilities)
    golden["tolerance"]["probabilities"] = 1
    (folder / "golden.json").write_text(json.dumps(golden))
    reseal(bundle)
    done = run_bundle(bundle, "--selftest")
    assert done.code == 6
    answer = re.escape(repr(golden["images"][place]["answer"]))
    assert re.search(f"FAIL  model: {golden['images'][place]['file']} is predicted as {answer}, expected '.'", done.out)


def test_a_model_that_returns_nan_never_passes(onnx_bundle: Path, run_bundle: RunBundle) -> None:
    path = onnx_bundle / "golden" / "probabilities.npy"
    probabilities = np.load(path)
    probabilities[0] = np.nan
    np.save(path, probabilities)
    reseal(onnx_bundle)
    done = run_bundle(onnx_bundle, "--selftest")
    assert (done.code, "FAIL  model" in done.out) == (6, True)


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "C:/secret.txt", "a/../../secret.txt"])
def test_names_that_lead_out_of_the_bundle_are_refused(onnx_bundle: Path, run_bundle: RunBundle, name: str) -> None:
    path = onnx_bundle / "spec.json"
    values = json.loads(path.read_text())
    values["model"] = name
    path.write_text(json.dumps(values))
    done = run_bundle(onnx_bundle, onnx_bundle / "golden" / "drawn.png")
    assert done.code == 6
    assert f"names a file outside the bundle: {name!r}" in done.err
