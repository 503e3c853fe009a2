"""What the model sees in training, for people to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.data import TRAIN, ImageData
from zoo.recipe import Recipe
from zoo.training.augment import augment, call_function, random_generator


def augmented_samples(data: ImageData, recipe: Recipe, seed: int, count: int = 24) -> NDArray[np.uint8] | None:
    """Augmented training images, as the first epochs show them.

    Returns:
        uint8 ``(images, versions, height, width, 3)``: up to 4 images, ``count`` pictures in all. ``None`` where
        training sees the plain images alone.
    """
    if not recipe.augments:
        return None
    indices = data.indices(TRAIN)
    chosen = indices[np.linspace(0, len(indices) - 1, min(4, len(indices))).astype(int)]
    versions = max(1, count // len(chosen))
    samples = np.stack([data.pixels.read(chosen)] * versions)
    for epoch, images in enumerate(samples):
        augment(images, recipe.ranges, (random_generator(seed, epoch, index) for index in chosen.tolist()))
        call_function(images, recipe.ranges, random_generator(seed, epoch, 0))
    return samples.swapaxes(0, 1)
