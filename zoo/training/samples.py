"""What the model sees in training, for people to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.data import TRAIN, ImageData
from zoo.recipe import Recipe
from zoo.training.augment import augment, random_generator


def augmented_samples(data: ImageData, recipe: Recipe, seed: int, count: int = 24) -> NDArray[np.uint8]:
    """Augmented training images, as the first epochs show them: uint8 ``(up to count, height, width, 3)``.

    A few images, each in several versions, one row of the array after the other.
    """
    indices = data.indices(TRAIN)
    chosen = indices[np.linspace(0, len(indices) - 1, min(4, len(indices))).astype(int)]
    originals = data.pixels.read(chosen)
    versions = max(1, count // len(chosen))
    return np.stack(
        [
            augment(image, recipe.augmentation, random_generator(seed, epoch, int(index)))
            for image, index in zip(originals, chosen, strict=True)
            for epoch in range(versions)
        ]
    )
