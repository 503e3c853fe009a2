"""Weight decay affects only kernels, with every optimizer and for any names of the variables."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from zoo.keras_names import KerasName
from zoo.recipe import Recipe
from zoo.training.model import compile_model

DECAYING = ["adamw", "lamb", "sgd", "nadam", "rmsprop", {"name": "sgd", "momentum": 0.5}]
RATE, DECAY = 0.1, 0.5


class Mixing(keras.layers.Layer):  # type: ignore[misc]
    """A plugin's layer, which does not use Keras's names: a kernel, an offset and a scale."""

    def build(self, shape: tuple[int, ...]) -> None:
        self.mixing = self.add_weight(name="mixing_beta", shape=(shape[-1], shape[-1]), initializer="ones")
        self.offset = self.add_weight(name="offset", shape=(shape[-1],), initializer="ones")
        self.factor = self.add_weight(name="factor", shape=(), initializer="ones")

    def call(self, inputs: Any) -> Any:
        return self.factor * (inputs @ self.mixing) + self.offset


def network() -> keras.Model:
    layers = keras.layers
    image = layers.Input((4, 4, 3))
    x = layers.Conv2D(5, 3, bias_initializer="ones", name="convolution")(image)
    x = layers.BatchNormalization(beta_initializer="ones", name="batch")(x)
    x = layers.LayerNormalization(axis=(1, 2, 3), beta_initializer="ones", name="layer")(x)
    x = layers.DepthwiseConv2D(2, bias_initializer="ones", name="depthwise")(x)
    x = layers.Reshape((1, 5))(x)
    x = layers.MultiHeadAttention(2, 3, bias_initializer="ones", name="attention")(x, x)
    x = Mixing(name="own")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(2, bias_initializer="ones", name="head")(x))


@pytest.mark.parametrize("optimizer", DECAYING, ids=str)
def test_kernels_decay_and_biases_and_normalisation_do_not(optimizer: KerasName) -> None:
    model = network()
    recipe = Recipe(optimizer=optimizer, learning_rate=RATE, schedule="constant", weight_decay=DECAY)
    compile_model(model, recipe, 1)
    before = {variable.path: np.array(variable) for variable in model.trainable_variables}
    zeros = [keras.ops.zeros_like(variable) for variable in model.trainable_variables]
    for _ in range(2):
        model.optimizer.apply(zeros, model.trainable_variables)
    kept = {"bias", "gamma", "beta", "offset", "factor"}
    moved = 0
    for variable in model.trainable_variables:
        value, name = before[variable.path], variable.path.rsplit("/", 1)[-1]
        # Decoupled decay: without a gradient, a step multiplies a kernel by 1 - rate * decay, with any optimizer.
        share = 1.0 if name in kept else (1 - RATE * DECAY) ** 2
        moved += share < 1
        assert np.allclose(np.array(variable), value * share, atol=1e-6), variable.path
        assert np.abs(value).max() > 0
    assert moved == 8  # convolution, depthwise, four of the attention, mixing_beta, head


def test_adam_has_no_weight_decay() -> None:
    model = network()
    compile_model(model, Recipe(optimizer="adam", weight_decay=DECAY), 1)
    assert not model.optimizer.weight_decay
