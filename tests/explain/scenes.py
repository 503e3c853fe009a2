"""Pictures with coloured squares at known positions, and networks that detect the colours without training."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

#: The two classes, named after the colour of their square.
COLOURS = {"red": 0, "green": 1}


@dataclass(frozen=True)
class Scene:
    """A picture, with left, top, right and bottom of the square of each class."""

    pixels: NDArray[np.uint8]
    boxes: dict[str, tuple[int, int, int, int]]

    def points_at(self, peak: tuple[float, float] | None, label: str, slack_px: float = 0) -> bool:
        """Whether a position ``(x, y)`` is in the square of a class, or at most some pixels away from it."""
        assert peak is not None
        left, top, right, bottom = self.boxes[label]
        x, y = peak
        return left - slack_px <= x <= right + slack_px and top - slack_px <= y <= bottom + slack_px


def scene(seed: int, height: int = 96, width: int = 96, side: int = 20) -> Scene:
    """A noisy gray background with a red square in one half and a green one in the other."""
    random = np.random.default_rng(seed)
    image = np.repeat(random.integers(80, 170, (height, width, 1)), 3, axis=2).astype(np.uint8)
    boxes = {}
    for half, label in enumerate(random.permutation(list(COLOURS)).tolist()):
        left = half * (width // 2) + int(random.integers(0, width // 2 - side))
        top = int(random.integers(0, height - side))
        image[top : top + side, left : left + side] = (20, 20, 20)
        image[top : top + side, left : left + side, COLOURS[label]] = 230
        boxes[label] = (left, top, left + side, top + side)
    return Scene(image, boxes)


def colour_network(linear: bool = True, size: int = 96) -> keras.Model:
    """A convolution that detects red and green, then pooling and a dense layer, or a head that is not linear."""
    image = keras.Input((size, size, 3), name="image")
    x = layers.Conv2D(3, 4, strides=4, activation="relu", name="colours")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="mixed")(x)
    x = layers.GlobalAveragePooling2D()(x)
    if not linear:
        x = layers.Dense(4, activation="relu", name="hidden")(x)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="probabilities")(x))
    own = np.zeros((4, 4, 3, 3), np.float32)
    for channel in range(3):
        own[:, :, :, channel] = -0.5 / 16
        own[:, :, channel, channel] = 1 / 16
    model.get_layer("colours").set_weights([own, np.full(3, -0.1, np.float32)])
    mixed = np.zeros((3, 3, 3, 4), np.float32)
    mixed[1, 1, :, :3] = np.eye(3)
    model.get_layer("mixed").set_weights([mixed, np.zeros(4, np.float32)])
    if not linear:
        model.get_layer("hidden").set_weights([np.eye(4, dtype=np.float32), np.zeros(4, np.float32)])
    kernel = np.zeros((4, 2), np.float32)
    kernel[0, 0] = kernel[1, 1] = 20
    model.get_layer("probabilities").set_weights([kernel, np.zeros(2, np.float32)])
    return model
