"""Models in which every weight matters: random kernels and biases, and moving averages unlike the initial ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def pixels(count: int, shape: tuple[int, int, int] = (16, 16, 3), seed: int = 1) -> Pixels:
    """Noise, which reveals every error. The first two images are black and white, to reveal errors in padding."""
    images = np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)
    images[:2] = np.array([0, 255], np.uint8)[:count, None, None, None]
    return images


def randomise(model: keras.Model, seed: int = 0) -> keras.Model:
    """Gives every weight a random value. Variances stay positive, and some scales of BatchNorm are negative."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith("moving_variance"):
            value = random.uniform(0.2, 2, weight.shape)
        elif weight.path.endswith(("gamma",)):
            value = random.uniform(0.3, 2, weight.shape) * random.choice([-1, 1], weight.shape)
        else:
            value = random.normal(0, 1 / np.sqrt(max(1, np.prod(weight.shape[:-1]))), weight.shape)
        weight.assign(value.astype("float32"))
    return model


def answers(model: keras.Model, images: Pixels) -> NDArray[np.float32]:
    return np.asarray(model(images.astype("float32"), training=False), np.float32)


def classifier(body: Callable[[Any], Any], shape: tuple[int, int, int] = (16, 16, 3), classes: int = 4) -> keras.Model:
    """``body`` between the scaling of pixels and a softmax, with random weights."""
    image = keras.Input(shape, name="image")
    x = body(layers.Rescaling(1 / 127.5, -1, name="scale")(image))
    x = layers.GlobalAveragePooling2D(name="features")(x) if len(x.shape) == 4 else x
    return randomise(keras.Model(image, layers.Dense(classes, activation="softmax", name="probabilities")(x)))


def flattening(shape: tuple[int, int, int] = (32, 32, 3), classes: int = 4) -> keras.Model:
    """A model like ``simple_cnn``: a Flatten between convolution and dense layers, with random weights."""
    image = keras.Input(shape, name="image")
    x = layers.Conv2D(8, 3, activation="relu", padding="same")(layers.Rescaling(1 / 127.5, -1)(image))
    x = layers.Dense(16, activation="relu")(layers.Flatten()(layers.MaxPooling2D()(x)))
    output = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return randomise(keras.Model(image, output, name="flattening"))


def kinds(model: keras.Model) -> list[str]:
    """Names of the classes of a model's layers, in order."""
    return [type(layer).__name__ for layer in model.layers]
