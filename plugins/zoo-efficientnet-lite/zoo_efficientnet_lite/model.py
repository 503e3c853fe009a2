"""EfficientNet-Lite in plain Keras layers, with the padding of TensorFlow's original.

EfficientNet (Tan and Le 2019, arXiv:1905.11946, table 1) without squeeze-and-excite and with ReLU6 instead of swish, so
that it can be quantised well: Liu, "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog 2020.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
from keras import layers
from zoo import UsageError

from zoo_efficientnet_lite.variants import VARIANTS, Variant, scaled_stages

STRIDE = 32


def build(
    variant: Variant, input_shape: tuple[int, int, int], num_classes: int, *, dropout: float | None = None
) -> keras.Model:
    """Builds a flat functional model with random weights.

    Args:
        variant: The row of the table.
        input_shape: ``(height, width, 3)`` in pixels. Each side must be at least 32, the network's stride.
        num_classes: Number of classes, 2 or more.
        dropout: Dropout rate before the head, from 0 to below 1. ``None``: the rate of the original.

    Input shape:
        ``image``: ``(batch, height, width, 3)``, RGB, float32, 0..255.

    Output shape:
        ``probabilities``: ``(batch, num_classes)``, float32, rows sum to 1. The layer ``features``, which precedes the
        head, returns ``(batch, 1280)``.

    Raises:
        UsageError: A value is out of range.

    >>> build(LITE0, (224, 224, 3), 1000).count_params()  # 4652008 trained parameters and 42016 moving averages
    4694024
    """
    dropout = variant.dropout if dropout is None else dropout
    _check(variant, input_shape, num_classes, dropout)
    image = layers.Input(input_shape, name="image", dtype="float32")
    # float32 under every policy, because bfloat16 has only 8 bits of precision, which a pixel needs completely.
    x = layers.Rescaling(scale=1 / 128, offset=-127 / 128, dtype="float32", name="normalization")(image)

    x = _conv(x, 32, "stem", kernel=3, stride=2)
    index = 0
    for repeats, kernel, stride, expansion, channels in scaled_stages(variant):
        for repeat in range(repeats):
            index += 1
            x = _block(x, kernel, stride if repeat == 0 else 1, expansion, channels, f"block_{index:02d}")
    x = _conv(x, 1280, "top")

    x = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    x = layers.Dropout(dropout, dtype="float32", name="dropout")(x)
    probabilities = layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        name="probabilities",
    )(x)
    return keras.Model(image, probabilities, name=variant.name)


def _block(x: Any, kernel: int, stride: int, expansion: int, channels: int, name: str) -> Any:
    """An inverted residual block: widens, filters each channel, and narrows without an activation."""
    inputs, channels_in = x, x.shape[-1]
    if expansion != 1:
        x = _conv(x, channels_in * expansion, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(_norm(x, f"{name}_depthwise"))
    x = _conv(x, channels, f"{name}_project", activate=False)
    return layers.Add(name=f"{name}_add")([inputs, x]) if stride == 1 and channels_in == channels else x


def _conv(x: Any, channels: int, name: str, *, kernel: int = 1, stride: int = 1, activate: bool = True) -> Any:
    x = layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = _norm(x, name)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def _norm(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=f"{name}_bn")(x)


def _check(variant: Variant, input_shape: tuple[int, int, int], num_classes: int, dropout: float) -> None:
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise UsageError(f"{variant.name} takes (height, width, 3). Received: {tuple(input_shape)}.")
    if min(input_shape[:2]) < STRIDE:
        raise UsageError(
            f"{variant.name} needs images of at least {STRIDE}x{STRIDE} pixels. "
            f"Received: {input_shape[1]}x{input_shape[0]} (width x height).",
            f"It halves its input five times; choose a larger size, such as {STRIDE * 3} or {variant.size_px}.",
        )
    if num_classes < 2:
        raise UsageError(f"{variant.name} needs at least 2 classes. Received: {num_classes}.")
    if not 0 <= dropout < 1:
        raise UsageError(f"{variant.name}'s dropout must be from 0 to below 1. Received: {dropout!r}.")


# One function for each row of the table; the records refer to them by name.
efficientnet_lite0, efficientnet_lite1, efficientnet_lite2 = (partial(build, variant) for variant in VARIANTS)
