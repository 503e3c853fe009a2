"""Remarks on images that are used, such as warnings of decoders, each with its file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import PhotoFolder, draw_photo
from tests.images.pictures import COLOR, encode
from zoo.audit.photos import read_photos
from zoo.audit.records import Records
from zoo.data import load_data, load_for_evaluation
from zoo.edge.classify import Classifier
from zoo.exported import TensorInfo
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, decode, load_image, load_with_remark, look
from zoo.images.listen import listening

SPEC = ImageSpec(height_px=16, width_px=16)
END = b"\xff\xd9"

#: Does the same as a command: guards its terminal, reads photos in threads, and prints remarks.
READ = """
import sys
from zoo.data import load_data
from zoo.image_spec import ImageSpec
from zoo.terminal import guard_terminal

if sys.argv[2] == "guarded":
    guard_terminal()
data = load_data(sys.argv[1], ImageSpec(height_px=16, width_px=16), progress=lambda *_: sys.stderr.write("."))
print(*data.notes, sep="\\n")
print(f"{len(data.names)} read", file=sys.stderr)
"""


def with_rubbish(whole: bytes, count: int = 120) -> bytes:
    """Adds bytes between the last restart interval and the end marker: libjpeg warns, and decodes the file."""
    assert whole.endswith(END)
    return whole[:-2] + b"\x12\x34\x56" * (count // 3) + END


def half_gray(whole: bytes) -> bytes:
    """Ends the scan too early, with an end marker. libjpeg prints a warning and fills the rest with gray."""
    scan = whole.index(b"\xff\xda")
    return whole[: (scan + len(whole)) // 2] + END


DAMAGES = {
    "rubbish": (with_rubbish, r"the decoder warns: Corrupt JPEG data: 1\d\d extraneous bytes before marker 0xd9"),
    "half gray": (half_gray, "the decoder warns: Corrupt JPEG data: premature end of data segment"),
    "no end mark": (lambda whole: whole[:-2], "JPEG without end marker, otherwise complete"),
}


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("terminal", ["guarded", "plain"])
def test_a_decoder_warning_names_its_file_and_no_other(photo_folder: PhotoFolder, terminal: str) -> None:
    photos = photo_folder({"a": 24, "b": 24})
    path = photos / "b" / "photo_003.jpg"
    path.write_bytes(with_rubbish(path.read_bytes()))
    command = [sys.executable, "-c", READ, str(photos), terminal]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stderr == "." * 48 + "48 read\n"
    (note,) = [line for line in first.stdout.splitlines() if "decoder" in line]
    assert note.startswith(
        "1 file(s) used with a remark, for example 'b/photo_003.jpg': the decoder warns: Corrupt JPEG data"
    )
    again = subprocess.run(command, capture_output=True, text=True, check=True)  # from the cache
    assert (again.stdout, again.stderr.lstrip(".")) == (first.stdout, "48 read\n")


def test_libjpeg_warns_of_this_damage(capfd: pytest.CaptureFixture[str]) -> None:
    whole = cv2.imencode(".jpg", np.full((32, 32, 3), 90, np.uint8))[1].tobytes()
    assert decode(with_rubbish(whole)).shape == (32, 32, 3)
    assert "Corrupt JPEG data" in capfd.readouterr().err


def test_training_checking_and_predicting_say_the_same(
    photo_folder: PhotoFolder, own_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = photo_folder({"a": 4, "b": 4})
    expected = {}
    for kind, (damage, remark) in DAMAGES.items():
        path = root / "a" / f"{kind}.jpg"
        draw_photo(path, 30, len(kind))
        path.write_bytes(damage(path.read_bytes()))
        expected[f"a/{kind}.jpg"] = look(path.read_bytes())[1]
        assert re.fullmatch(remark, expected[f"a/{kind}.jpg"])
    refused = root / "b" / "cut off.jpg"
    draw_photo(refused, 30, 9)
    refused.write_bytes(refused.read_bytes()[:-200])

    trained = load_data(str(root), SPEC)
    evaluated = load_for_evaluation(str(root), SPEC, ("a", "b"))
    said = {f"1 file(s) used with a remark, for example {name!r}: {remark}." for name, remark in expected.items()}
    assert set(trained.file_notes) == set(evaluated.file_notes) == said
    assert said <= set(trained.notes)
    with Records() as records:
        photos = read_photos(str(root), records)
    assert {photo.name: photo.facts.remark for photo in photos.photos if photo.facts.remark} == expected
    classifier = Classifier(Mean(), SPEC, ("a", "b"))
    for name, remark in expected.items():
        assert classifier.classify(root / name).remark == remark
        assert classifier.classify((root / name).read_bytes()).remark == remark
    assert classifier.classify(root / "a" / "photo_000.jpg").remark == ""
    for found in (trained.skipped, evaluated.skipped, photos.skipped):
        assert [(item.name, item.reason) for item in found] == [("b/cut off.jpg", "truncated JPEG")]
    with pytest.raises(ImageError, match="truncated JPEG"):
        classifier.classify(refused)
    assert capfd.readouterr().err == ""


class Mean:
    """A runtime that predicts by brightness."""

    inputs = (TensorInfo(name="image", shape=(None, 16, 16, 3), dtype="uint8"),)
    outputs = (TensorInfo(name="probabilities", shape=(None, 2), dtype="float32"),)

    def predict(self, images: np.ndarray) -> np.ndarray:
        share = images.mean((1, 2, 3)) / 255
        return np.stack([share, 1 - share], 1).astype(np.float32)


def test_remarks_that_differ_in_numbers_alone_are_one_note(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 4, "b": 4})
    for number, path in enumerate(sorted((root / "a").iterdir()), 1):
        path.write_bytes(with_rubbish(path.read_bytes(), 30 * number))
    (note,) = load_data(str(root), SPEC).file_notes
    assert note.startswith(
        "4 file(s) used with a remark, for example 'a/photo_000.jpg': the decoder warns: Corrupt JPEG data: "
    )


def test_in_threads_each_remark_is_about_its_own_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = encode(COLOR, "JPEG")
    expected = {}
    for number in range(40):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(whole if number % 4 else with_rubbish(whole, 3 * number + 30))
        expected[path] = look(path.read_bytes())[1]
    assert len(set(expected.values())) == 11
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(expected, pool.map(lambda path: load_with_remark(path, SPEC)[1], expected), strict=True))
    assert found == expected
    assert capfd.readouterr().err == ""


def test_a_damaged_file_does_not_wait_until_other_threads_are_idle() -> None:
    damaged, stop = half_gray(encode(COLOR, "JPEG")), threading.Event()
    whole = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8))[1].tobytes()

    def decode_all() -> None:
        while not stop.is_set():
            look(whole)

    with ThreadPoolExecutor(7) as pool:
        for _ in range(6):
            pool.submit(decode_all)
        try:
            for _ in range(20):
                assert pool.submit(look, damaged).result(timeout=5)[1] == DAMAGES["half gray"][1]
        finally:
            stop.set()


def test_what_no_decoder_says_comes_out(capfd: pytest.CaptureFixture[str]) -> None:
    """A model that runs in another thread may write to the descriptor at any time."""
    damaged = half_gray(encode(COLOR, "JPEG"))
    stop = threading.Event()

    def chatter() -> None:
        for number in range(10**6):
            os.write(2, f"line {number}\n".encode())
            if stop.wait(0.0002):
                break

    with listening():
        thread = threading.Thread(target=chatter)
        thread.start()
        try:
            for _ in range(20):
                assert look(damaged)[1] == DAMAGES["half gray"][1]
                print("Python", file=sys.stderr)
        finally:
            stop.set()
            thread.join()
    said = capfd.readouterr().err.splitlines()
    assert "line 0" in said
    assert said.count("Python") == 20
    assert not [line for line in said if "JPEG" in line]


def test_a_refused_picture_writes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = encode(COLOR, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data[:60] + bytes(40) + data[100:])
    with pytest.raises(ImageError, match=r"photo\.png"):
        load_image(path, SPEC)
    assert capfd.readouterr().err == ""
