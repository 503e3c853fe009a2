"""A correct architecture with a few layers, and for every check a copy of it with one fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from zoo import Architecture, ImageSpec

Build = Callable[..., keras.Model]
IMAGE = ImageSpec(height_px=48, width_px=48)


def architecture(build: Build, **fields: Any) -> Architecture:
    settings = {"name": "tested", "summary": "For tests", "image": IMAGE, "backbone": "features", **fields}
    return Architecture(build=build, **settings)


def model(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    first: Callable[[Any], Any] = lambda image: layers.Rescaling(1 / 127.5, -1)(image),
    body: Callable[[Any], Any] = lambda x: x,
    features: Callable[[Any], Any] = lambda x: layers.GlobalAveragePooling2D(name="features")(x),
    head: Callable[[Any, int], Any] | None = None,
    input_name: str = "image",
    **convolution: Any,
) -> keras.Model:
    """Scaling, a convolution, ``body``, pooling and a softmax. Each of them can be replaced."""
    image = keras.Input(input_shape, name=input_name)
    settings = {"padding": "same", "strides": 2, "activation": "relu", "name": "conv", **convolution}
    x = features(body(layers.Conv2D(64, 3, **settings)(first(image))))
    return keras.Model(image, (head or softmax)(x, num_classes))


def softmax(x: Any, num_classes: int) -> Any:
    return layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x)


SOUND = architecture(model)


def with_body(body: Callable[[Any], Any]) -> Architecture:
    return architecture(lambda shape, classes: model(shape, classes, body=body))


def with_parts(**parts: Any) -> Architecture:
    return architecture(lambda shape, classes: model(shape, classes, **parts))


def leaves(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    raise SystemExit(0)


@keras.saving.register_keras_serializable("tests")
class Drifting(layers.Layer):
    """A layer that changes its own weight whenever it is called."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, inputs: Any) -> Any:
        self.scale.assign(self.scale * 0.999)
        return inputs * self.scale


@keras.saving.register_keras_serializable("tests")
class OnlyInTraining(layers.Layer):
    """A layer that ignores the image in inference."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs if training else ops.zeros_like(inputs)


@keras.saving.register_keras_serializable("tests")
class Random(layers.Layer):
    """An initializer that does not depend on the seed."""

    def build(self, shape: Any) -> None:
        value = np.random.default_rng().normal(1, 0.1, shape[-1])
        self.scale = self.add_weight(shape=(shape[-1],), initializer=lambda shape, dtype: value, name="scale")

    def call(self, inputs: Any) -> Any:
        return inputs * self.scale


@keras.saving.register_keras_serializable("tests")
class EverNoisy(layers.Layer):
    """A layer that adds noise, in training and in inference."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, inputs: Any) -> Any:
        return inputs + keras.random.normal(ops.shape(inputs), stddev=0.1, seed=self.seeds)


def changes_policy(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    keras.config.set_dtype_policy("mixed_bfloat16")
    return model(input_shape, num_classes)


def changes_data_format(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    built = model(input_shape, num_classes)
    keras.config.set_image_data_format("channels_first")
    return built


def sets_the_seed(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    keras.utils.set_random_seed(42)
    return model(input_shape, num_classes)


def one_size(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return model(IMAGE.input_shape, num_classes)


def two_classes(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    if num_classes > 4:
        raise ValueError("too many classes for me")
    return model(input_shape, num_classes)


def skips_the_backbone(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, -1)(image)
    deep = layers.GlobalAveragePooling2D(name="features")(layers.Conv2D(8, 3, name="conv")(x))
    beside = layers.GlobalMaxPooling2D()(x)
    return keras.Model(image, softmax(layers.Concatenate()([deep, beside]), num_classes))


def ignores_the_first_kernel(input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, -1)(image)
    lost = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, name="conv")(x)) * 1e-9
    return keras.Model(
        image, softmax(layers.Concatenate(name="features")([layers.GlobalAveragePooling2D()(x), lost]), num_classes)
    )


def chaotic(x: Any) -> Any:
    """The prediction depends on rounding in the last bit, so another program predicts differently."""
    return ops.sin(layers.Rescaling(1e7)(layers.GlobalAveragePooling2D()(x)))


BATCH_STATISTICS = with_body(lambda x: x - ops.mean(x, axis=0, keepdims=True))
EVER_NOISY = with_body(lambda x: EverNoisy()(x))
LAMBDA = with_body(lambda x: layers.Lambda(lambda value: value * 2)(x))
OWN_LAYER = with_body(lambda x: OnlyInTraining()(x))
LOGITS = with_parts(head=lambda x, classes: layers.Dense(classes, dtype="float32", name="probabilities")(x))
HALF_PRECISION = with_parts(head=lambda x, classes: layers.Dense(classes, "softmax", name="probabilities")(x))
NOT_FINITE = with_body(lambda x: ops.log(x - 1e3))
NORMALISED_OUTSIDE = with_parts(first=lambda image: image)
NORMALISED_TWICE = with_parts(first=lambda image: layers.Rescaling(1 / 255)(layers.Rescaling(1 / 127.5, -1)(image)))
NO_DICE = keras.initializers.HeNormal(seed=1)
SEEDED = with_parts(
    kernel_initializer=NO_DICE,
    head=lambda x, classes: layers.Dense(
        classes, "softmax", kernel_initializer=NO_DICE, dtype="float32", name="probabilities"
    )(x),
)
NO_GRADIENT = with_parts(head=lambda x, classes: softmax(ops.stop_gradient(x) * 0.0, classes))
STOPPED = with_body(lambda x: ops.stop_gradient(x))
NO_IMAGE = with_body(lambda x: x * 0.0)
NO_OPERATOR = with_body(lambda x: ops.erfinv(ops.tanh(x) * 0.5))
CHAOTIC = with_parts(features=chaotic)
