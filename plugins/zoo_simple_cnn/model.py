"""The network of ``simple_cnn``."""

from __future__ import annotations

import keras
from keras import layers

from zoo import UsageError


def build(input_shape: tuple[int, int, int], num_classes: int, dropout: float = 0.4) -> keras.Model:
    """The network of the tutorial, with the same layers. The model scales the pixels itself, to -1..1 instead of 0..1.

    Args:
        input_shape: ``(height, width, 3)`` in pixels. Each side must be at least 8.
        num_classes: Number of classes, 1 or more.
        dropout: Rate of the dropout before the dense layers.

    Returns:
        A model from ``image`` (batch, height, width, 3) float32 0..255 to ``probabilities`` (batch, num_classes)
        float32.

    Raises:
        UsageError: A side is below 8 px, which three pooling layers would reduce to 0.
    """
    height, width, _ = input_shape
    if min(height, width) < 8:
        raise UsageError(f"simple_cnn needs images of at least 8x8 px. Received: {width}x{height}.")
    image = keras.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    for block, filters in enumerate((32, 32, 64), start=1):
        x = layers.Conv2D(
            filters, 3, padding="same", activation="relu", kernel_initializer="he_normal", name=f"conv_{block}"
        )(x)
        x = layers.MaxPooling2D(name=f"pool_{block}")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense")(x)
    # float32 under every policy, because probabilities of half precision do not sum to 1.
    probabilities = layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x)
    return keras.Model(image, probabilities, name="simple_cnn")
