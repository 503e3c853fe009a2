"""Bundles on an emulated Cortex-A72, the processor of the Raspberry Pi 4."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Zoo, draw_photo
from zoo.edge.bundle import read_bundle
from zoo.emulation import find_emulator
from zoo.emulation.place import folder
from zoo.errors import UsageError
from zoo.run_folder import open_run

#: The user's own, found before the tests get a cache of theirs.
FOLDER = Path(os.environ.get("ZOO_TEST_ARM64") or folder())


@pytest.mark.arm
@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_a_bundle_predicts_alike_on_a_cortex_a72(
    zoo: Zoo,
    digits_run: Path,
    digits_exports: Path,
    own_cache: Path,
    tmp_path: Path,
    format: str,
) -> None:
    bundle = Path(shutil.copytree(digits_exports / f"simple_cnn-{format}-float32", tmp_path / "bundle"))
    own_cache.mkdir()
    (own_cache / "arm64").symlink_to(FOLDER)
    try:
        find_emulator(read_bundle(bundle).requires, "")
    except UsageError as error:
        pytest.skip(
            f"{error.message} `zoo verify --processor cortex-a72 --fetch` fills {FOLDER}, or set ZOO_TEST_ARM64"
        )
    photos = tmp_path / "photos"
    for number in range(10):
        label = open_run(digits_run).labels[number % 5]
        draw_photo(photos / label / f"{number}.png", 17 * number, number, (32, 32))  # nothing to resize
    done = zoo("verify", bundle, "--against", digits_run, "--data", photos, "--processor", "cortex-a72")
    found = json.loads((bundle / "verify.json").read_text())["processors"]["cortex-a72"]
    assert found["n"] == 10
    assert found["processor"]["machine"] == "aarch64"
    assert found["tensor"]["images"] == 0
    assert found["values"]["difference"]["max"] < 1e-4
    # OpenCV's bilinear kernel on ARM differs from that on x86 by up to two levels (docs/decisions/0026-arm.md). The
    # self-test of a bundle with bilinear resizing detects this.
    assert done.code == 6
    (failure,) = found["failures"]
    assert failure.startswith("`run.py --selftest` fails on cortex-a72: decode and resize: drawn.png differs by 2 of")
