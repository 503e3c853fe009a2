"""Bundles on an emulated Cortex-A72, the processor of the Raspberry Pi 4.

``zoo verify --fetch`` downloads the emulator, a system for it and wheels, unless the folder of ``ZOO_TEST_ARM64``
contains them. If it cannot, the tests are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from keras import layers

from tests.conftest import Result, draw_photo, run_command, zoo_environment
from tests.exporting.models import classifier
from tests.images import pictures
from zoo.edge.bundle import read_bundle
from zoo.emulation import EmulatedDevice, Emulator, find_emulator
from zoo.errors import UsageError
from zoo.exporting.fold import fold
from zoo.exporting.quantize import quantize
from zoo.image_spec import INTERPOLATIONS
from zoo.images import load_image
from zoo.parity import exporter_of
from zoo.run_folder import open_run

pytestmark = [pytest.mark.arm, pytest.mark.long]

SIZES = [(32, 32), (8, 8), (120, 90), (67, 301), (640, 480)]


@pytest.fixture(scope="module")
def arm64_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache for these tests, which contains the folder of ``ZOO_TEST_ARM64`` or is empty."""
    cache = tmp_path_factory.mktemp("arm64-cache")
    if kept := os.environ.get("ZOO_TEST_ARM64"):
        Path(kept).mkdir(parents=True, exist_ok=True)
        (cache / "arm64").symlink_to(Path(kept).absolute())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_CACHE_DIR", str(cache))
        yield


@dataclass(frozen=True)
class Fetched:
    """A bundle after ``zoo verify --processor cortex-a72 --fetch``, the result of this command, and the emulator."""

    bundle: Path
    result: Result
    emulator: Emulator


@pytest.fixture(scope="module")
def fetched(
    request: pytest.FixtureRequest,
    digits_run: Path,
    digits_exports: Path,
    arm64_cache: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Fetched:
    """The bundle of a format, which was verified on ten photos of several sizes."""
    folder = tmp_path_factory.mktemp("fetched")
    bundle = Path(shutil.copytree(digits_exports / f"simple_cnn-{request.param}-float32", folder / "bundle"))
    photos = folder / "photos"
    for number in range(10):
        label = open_run(digits_run).labels[number % 5]
        draw_photo(
            photos / label / f"{number}.{'png' if number % 2 else 'jpg'}", 17 * number, number, SIZES[number // 2]
        )
    arguments = ("verify", bundle, "--against", digits_run, "--data", photos, "--processor", "cortex-a72", "--fetch")
    try:
        result = run_command(*arguments, cwd=folder, environment=zoo_environment(folder))
    except TimeoutError as error:
        result = Result(124, "", str(error))
    try:
        emulator = find_emulator(read_bundle(bundle).requires, "")
    except UsageError:
        assert result.code in (2, 124), result.err
        pytest.skip(f"the emulator cannot be downloaded: {' '.join(result.err.split())[-300:]}")
    return Fetched(bundle, result, emulator)


@pytest.mark.parametrize("fetched", ["onnx", "tflite"], indirect=True)
def test_a_bundle_predicts_alike_on_a_cortex_a72(fetched: Fetched) -> None:
    assert fetched.result.code == 0, fetched.result.err
    found = json.loads((fetched.bundle / "verify.json").read_text())["processors"]["cortex-a72"]
    assert (found["n"], found["failures"], found["tensor"]["images"]) == (10, [], 0)
    assert found["processor"]["machine"] == "aarch64"
    assert found["values"]["difference"]["max"] < 1e-4


@pytest.mark.parametrize("fetched", ["onnx", "tflite"], indirect=True)
def test_8_bits_are_rounded_alike_on_a_cortex_a72(fetched: Fetched, tmp_path: Path) -> None:
    bundle = read_bundle(shutil.copytree(fetched.bundle, tmp_path / "bundle"))
    exporter = exporter_of(bundle.model_path)
    images = np.random.default_rng(0).integers(0, 256, (60, *bundle.image.input_shape), np.uint8)

    def residual(x: Any) -> Any:
        for _ in range(4):  # additions are what processors rounded differently
            x = layers.Add()([layers.Conv2D(3, 3, padding="same", activation="relu")(x), x])
        return x

    small = quantize(fold(classifier(residual, bundle.image.input_shape, 10)), images, steps=1).model
    exporter.convert(small, bundle.model_path, "int8")
    here = exporter.load(bundle.model_path, 1)
    with EmulatedDevice(fetched.emulator, "cortex-a72", bundle) as device:
        for image in images[:20]:
            np.testing.assert_allclose(device.predict(image[None]), here.predict(image[None]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("fetched", ["onnx"], indirect=True)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_cortex_a72_makes_the_same_pixels(fetched: Fetched, tmp_path: Path, interpolation: str) -> None:
    """OpenCV for ARM has separate kernels, for example for bilinear resizing and for the product of two images."""
    bundle = Path(shutil.copytree(fetched.bundle, tmp_path / "bundle"))
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
    with EmulatedDevice(fetched.emulator, "cortex-a72", read_bundle(bundle)) as device:
        spec = read_bundle(bundle).image
        assert spec.interpolation == interpolation
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            assert np.array_equal(device.look(str(tmp_path / name)), load_image(tmp_path / name, spec)), name
