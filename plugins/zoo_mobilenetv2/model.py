"""MobileNetV2 in plain Keras layers, with the padding and the normalisation of torchvision's ``mobilenet_v2``.

Sandler, Howard, Zhu, Zhmoginov, Chen: MobileNetV2: Inverted Residuals and Linear Bottlenecks (CVPR 2018,
arXiv:1801.04381), table 2.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers

from zoo import UsageError

#: Table 2: expansion, output channels, repeats, stride of the first repeat.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
STRIDE = 32
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def build(
    input_shape: tuple[int, int, int], num_classes: int, *, width: float = 1.0, dropout: float = 0.2
) -> keras.Model:
    """Builds a flat functional model with random weights.

    Args:
        input_shape: ``(height, width, 3)`` in pixels. Each side must be at least 32, the network's stride.
        num_classes: Number of classes, 2 or more.
        width: Multiplier of all channel counts, above 0. The ImageNet weights are for 1.0.
        dropout: Dropout rate before the head, from 0 to below 1.

    Input shape:
        ``image``: ``(batch, height, width, 3)``, RGB, float32, 0..255.

    Output shape:
        ``probabilities``: ``(batch, num_classes)``, float32, rows sum to 1. The layer ``features``, which precedes the
        head, returns ``(batch, 1280)``, and more features if ``width`` is above 1.0.

    Raises:
        UsageError: A value is out of range.

    >>> build((224, 224, 3), 1000).count_params()  # 3504872 trained parameters and 34112 moving averages
    3538984
    """
    _check(input_shape, num_classes, width, dropout)
    image = layers.Input(input_shape, name="image", dtype="float32")
    # (x / 255 - mean) / std, in float32 under every policy, because bfloat16 has only 8 bits of precision.
    x = layers.Rescaling(
        scale=[1 / (255 * std) for std in STD],
        offset=[-mean / std for mean, std in zip(MEAN, STD, strict=True)],
        dtype="float32",
        name="normalization",
    )(image)

    x = _conv(x, _channels(32 * width), "stem", kernel=3, stride=2)
    index = 0
    for expansion, channels, repeats, stride in STAGES:
        for repeat in range(repeats):
            index += 1
            x = _block(x, expansion, _channels(channels * width), stride if repeat == 0 else 1, f"block_{index:02d}")
    x = _conv(x, _channels(1280 * max(1.0, width)), "top")

    x = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    x = layers.Dropout(dropout, dtype="float32", name="dropout")(x)
    probabilities = layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        name="probabilities",
    )(x)
    return keras.Model(image, probabilities, name="mobilenetv2")


def _block(x: Any, expansion: int, channels: int, stride: int, name: str) -> Any:
    """An inverted residual block: widens, filters each channel, and narrows without an activation."""
    inputs, channels_in = x, x.shape[-1]
    if expansion != 1:
        x = _conv(x, channels_in * expansion, f"{name}_expand")
    x = _pad(x, stride, f"{name}_depthwise")
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="valid" if stride == 2 else "same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(_norm(x, f"{name}_depthwise"))
    x = _conv(x, channels, f"{name}_project", activate=False)
    return layers.Add(name=f"{name}_add")([inputs, x]) if stride == 1 and channels_in == channels else x


def _conv(x: Any, channels: int, name: str, *, kernel: int = 1, stride: int = 1, activate: bool = True) -> Any:
    x = _pad(x, stride, name)
    x = layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding="valid" if stride == 2 else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)
    x = _norm(x, name)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def _pad(x: Any, stride: int, name: str) -> Any:
    # PyTorch pads all four sides by 1; "same" at stride 2 would pad only bottom and right of an even size.
    return layers.ZeroPadding2D(1, name=f"{name}_pad")(x) if stride == 2 else x


def _norm(x: Any, name: str) -> Any:
    # eps 1e-5 and momentum 0.1 of torchvision; in Keras, the momentum is 1 - 0.1.
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"{name}_bn")(x)


def _channels(value: float) -> int:
    """Rounds to the nearest multiple of 8, at least 8 and never more than 10 % below ``value``."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def _check(input_shape: tuple[int, int, int], num_classes: int, width: float, dropout: float) -> None:
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise UsageError(f"mobilenetv2 takes (height, width, 3). Received: {tuple(input_shape)}.")
    if min(input_shape[:2]) < STRIDE:
        raise UsageError(
            f"mobilenetv2 needs images of at least {STRIDE}x{STRIDE} pixels. "
            f"Received: {input_shape[1]}x{input_shape[0]} (width x height).",
            f"It halves its input five times; choose a larger size, such as {STRIDE * 3} or 224.",
        )
    if num_classes < 2:
        raise UsageError(f"mobilenetv2 needs at least 2 classes. Received: {num_classes}.")
    if not (math.isfinite(width) and width > 0):
        raise UsageError(
            f"mobilenetv2's width must be above 0. Received: {width!r}.", "Usual values: 0.35, 0.5, 0.75, 1.0, 1.4."
        )
    if not 0 <= dropout < 1:
        raise UsageError(f"mobilenetv2's dropout must be from 0 to below 1. Received: {dropout!r}.")
