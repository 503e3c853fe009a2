"""The unchanged TFLite file in LiteRT.js, in Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import zoo_tflite

from tests.browser.conftest import OpenPage, Served
from tests.browser.litert_js import PACKAGE, RELEASE, VARIABLE, predict, prepare
from tests.exporting.models import answers, flattening, pixels
from zoo.exporting.fold import fold
from zoo.exporting.quantize import quantize

SHAPE = (32, 32, 3)


@pytest.fixture(scope="session")
def litert_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with LiteRT.js: that of ``ZOO_LITERT_JS``, or one to which npm installs it."""
    if folder := os.environ.get(VARIABLE):
        return Path(folder)
    if shutil.which("npm") is None:
        pytest.skip(f"needs {PACKAGE}, and there is neither a folder in {VARIABLE} nor npm")
    made = tmp_path_factory.mktemp("litert-js")
    command = ["npm", "install", "--ignore-scripts", "--prefix", str(made), f"{PACKAGE}@{RELEASE}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"needs {PACKAGE}, and npm could not install it: {done.stderr[-200:]}")
    return made


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return flattening(SHAPE)


@pytest.mark.parametrize("precision", zoo_tflite.EXPORTER.precisions)
def test_the_file_predicts_like_keras_in_litert_js(
    model: keras.Model, precision: str, litert_js: Path, served: Served, open_page: OpenPage
) -> None:
    images = pixels(6, SHAPE)
    prepared = quantize(fold(model), pixels(16, SHAPE)).model if precision == "int8" else fold(model)
    zoo_tflite.EXPORTER.convert(prepared, served.folder / "model.tflite", precision)
    prepare(served.folder, litert_js)
    opened = open_page(f"http://127.0.0.1:{served.server.server_port}/litert.html", wait="")
    made = predict(opened.page, "model.tflite", images)
    np.testing.assert_allclose(
        made, answers(model, images), rtol=0, atol={"float32": 1e-5, "float16": 1e-2, "int8": 0.15}[precision]
    )
    assert not [line for line in opened.trouble if line.startswith("error")]
    ours = zoo_tflite.EXPORTER.load(served.folder / "model.tflite", 1).predict(images)
    np.testing.assert_allclose(made, ours, rtol=0, atol=1e-5 if precision != "int8" else 0.01)
