"""Bundles on an emulated Cortex-A72, the processor of the Raspberry Pi 4."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from keras import layers

from tests.conftest import Zoo, draw_photo
from tests.exporting.models import classifier
from tests.images import pictures
from zoo.edge.bundle import read_bundle
from zoo.emulation import EmulatedDevice, Emulator, find_emulator
from zoo.emulation.place import folder
from zoo.errors import UsageError
from zoo.exporting.fold import fold
from zoo.exporting.quantize import quantize
from zoo.image_spec import INTERPOLATIONS
from zoo.images import load_image
from zoo.parity import exporter_of
from zoo.registry import exporters
from zoo.run_folder import open_run

#: The user's folder, determined before the tests set their own cache.
FOLDER = Path(os.environ.get("ZOO_TEST_ARM64") or folder())

SIZES = [(32, 32), (8, 8), (120, 90), (67, 301), (640, 480)]


def emulator_of(bundle: Path, own_cache: Path) -> Emulator:
    own_cache.mkdir()
    (own_cache / "arm64").symlink_to(FOLDER)
    try:
        return find_emulator(read_bundle(bundle).requires, "")
    except UsageError as error:
        pytest.skip(
            f"{error.message} `zoo verify --processor cortex-a72 --fetch` fills {FOLDER}, or set ZOO_TEST_ARM64"
        )


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
    emulator_of(bundle, own_cache)
    photos = tmp_path / "photos"
    for number in range(10):
        label = open_run(digits_run).labels[number % 5]
        draw_photo(
            photos / label / f"{number}.{'png' if number % 2 else 'jpg'}", 17 * number, number, SIZES[number // 2]
        )
    done = zoo("verify", bundle, "--against", digits_run, "--data", photos, "--processor", "cortex-a72")
    assert done.code == 0, done.err
    found = json.loads((bundle / "verify.json").read_text())["processors"]["cortex-a72"]
    assert (found["n"], found["failures"], found["tensor"]["images"]) == (10, [], 0)
    assert found["processor"]["machine"] == "aarch64"
    assert found["values"]["difference"]["max"] < 1e-4


@pytest.mark.arm
@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_8_bits_are_rounded_alike_on_a_cortex_a72(
    digits_exports: Path, own_cache: Path, tmp_path: Path, format: str
) -> None:
    bundle = read_bundle(shutil.copytree(digits_exports / f"simple_cnn-{format}-float32", tmp_path / "bundle"))
    emulator = emulator_of(bundle.folder, own_cache)
    images = np.random.default_rng(0).integers(0, 256, (60, *bundle.image.input_shape), np.uint8)

    def residual(x: Any) -> Any:
        for _ in range(4):  # additions are what processors rounded differently
            x = layers.Add()([layers.Conv2D(3, 3, padding="same", activation="relu")(x), x])
        return x

    small = quantize(fold(classifier(residual, bundle.image.input_shape, 10)), images, steps=1).model
    exporters().get(format).convert(small, bundle.model_path, "int8")
    here = exporter_of(bundle.model_path).load(bundle.model_path, 1)
    with EmulatedDevice(emulator, "cortex-a72", bundle) as device:
        for image in images[:20]:
            np.testing.assert_allclose(device.predict(image[None]), here.predict(image[None]), rtol=0, atol=1e-6)


@pytest.mark.arm
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_cortex_a72_makes_the_same_pixels(
    digits_exports: Path, own_cache: Path, tmp_path: Path, interpolation: str
) -> None:
    """OpenCV for ARM has separate kernels, for example for bilinear resizing and for the product of two images."""
    bundle = Path(shutil.copytree(digits_exports / "simple_cnn-onnx-float32", tmp_path / "bundle"))
    emulator = emulator_of(bundle, own_cache)
    described = json.loads((bundle / "spec.json").read_text())
    described["image"] |= {"interpolation": interpolation, "resize": "letterbox"}
    (bundle / "spec.json").write_text(json.dumps(described))
    random = np.random.default_rng(0)
    files = {}
    for height, width in [(1, 1), (8, 8), (33, 40), (96, 72), (223, 225), (301, 67)]:
        noise = random.integers(0, 256, (height, width, 4), np.uint8)
        files[f"{height}x{width}.png"] = cv2.imencode(".png", noise)[1].tobytes()
        files[f"{height}x{width}.jpg"] = cv2.imencode(".jpg", noise[..., :3])[1].tobytes()
    files["cmyk.tif"] = pictures.encode(pictures.COLOR.convert("CMYK"), "TIFF")
    with EmulatedDevice(emulator, "cortex-a72", read_bundle(bundle)) as device:
        spec = read_bundle(bundle).image
        assert spec.interpolation == interpolation
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            assert np.array_equal(device.look(str(tmp_path / name)), load_image(tmp_path / name, spec)), name
