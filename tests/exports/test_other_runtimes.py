"""Files in runtimes that share no code with those for which the files were made. ``benchmarks/runtimes.py`` compares
more runtimes, with trained models and photographs."""

from __future__ import annotations

from pathlib import Path

import cv2
import keras
import numpy as np
import pytest
import zoo_onnx
import zoo_tflite

from tests.exporting.models import answers, flattening, pixels
from zoo.exporting.fold import fold

SHAPE = (32, 32, 3)
EXPORTERS = {"onnx": zoo_onnx.EXPORTER, "tflite": zoo_tflite.EXPORTER}


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return flattening(SHAPE)


@pytest.fixture(scope="module")
def files(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    made = {name: folder / f"model{exporter.suffix}" for name, exporter in EXPORTERS.items()}
    for name, path in made.items():
        EXPORTERS[name].convert(fold(model), path, "float32")
    return made


@pytest.mark.parametrize("engine", [cv2.dnn.ENGINE_CLASSIC, cv2.dnn.ENGINE_NEW], ids=["as in OpenCV 4", "of OpenCV 5"])
def test_opencv_reads_the_tflite_file(model: keras.Model, files: dict[str, Path], engine: int) -> None:
    net = cv2.dnn.readNetFromTFLite(str(files["tflite"]), engine)
    images = pixels(5, SHAPE)
    for image, expected in zip(images, answers(model, images), strict=True):
        net.setInput(cv2.dnn.blobFromImage(image))  # OpenCV expects channels first
        np.testing.assert_allclose(net.forward()[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EXPORTERS)
def test_openvino_reads_the_file(model: keras.Model, files: dict[str, Path], name: str) -> None:
    openvino = pytest.importorskip("openvino", reason="openvino takes 190 MB and is no test dependency: pip install it")
    compiled = openvino.Core().compile_model(files[name], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    images = pixels(5, SHAPE)
    for image, expected in zip(images, answers(model, images), strict=True):
        (found,) = compiled([image[None].astype(np.float32)]).values()
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-5)
