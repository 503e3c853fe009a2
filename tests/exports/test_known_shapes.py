"""Networks with reshapes: known shapes are stored as constants, in both formats."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import zoo_onnx
import zoo_tflite
from keras import layers

from tests.exporting.models import answers, classifier, pixels, randomise
from tests.shape_operators import shape_operators
from zoo.exporting.fold import fold
from zoo.exporting.quantize import quantize

EXPORTERS = (zoo_tflite.EXPORTER, zoo_onnx.EXPORTER)
SHAPE = (32, 32, 3)


def vision_transformer() -> keras.Model:
    """Patches, one attention block and one block of dense layers, as in tutorials."""
    image = keras.Input(SHAPE, name="image")
    x = layers.Conv2D(16, 8, strides=8, name="patches")(layers.Rescaling(1 / 127.5, -1)(image))
    x = layers.Reshape((16, 16))(x)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(y, y)])
    y = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
    x = layers.LayerNormalization()(layers.Add()([x, layers.Dense(16)(y)]))
    x = layers.GlobalAveragePooling1D()(x)
    return randomise(keras.Model(image, layers.Dense(4, activation="softmax", name="probabilities")(x), name="vit"))


def squeeze_and_excite(x):
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    weights = layers.Reshape((1, 1, 16))(layers.GlobalAveragePooling2D()(x))
    weights = layers.Conv2D(4, 1, activation="relu")(weights)
    return layers.Multiply()([x, layers.Conv2D(16, 1, activation="hard_sigmoid")(weights)])


def flattened_and_spread(x):
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = layers.Reshape((15, 15, 8))(layers.Flatten()(x))
    return layers.Conv2DTranspose(8, 3, strides=2)(x)


MODELS = {
    "vit": vision_transformer,
    "se": lambda: classifier(squeeze_and_excite, SHAPE),
    "spread": lambda: classifier(flattened_and_spread, SHAPE),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.fixture(scope="module")
def prepared(model):
    return {"int8": quantize(fold(model), pixels(8, SHAPE)).model, "float32": fold(model)}


@pytest.mark.parametrize("exporter", EXPORTERS, ids=["tflite", "onnx"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_no_shape_is_computed_when_the_file_runs(model, prepared, exporter, precision, tmp_path):
    path = tmp_path / f"model{exporter.suffix}"
    exporter.convert(prepared[precision], path, precision)
    assert shape_operators(path) == set()
    images = pixels(5, SHAPE)
    # Batches of any size in ONNX, and single images in TFLite.
    np.testing.assert_allclose(
        exporter.load(path, 1).predict(images), answers(model, images), atol=1e-4 if precision == "float32" else 0.15
    )
