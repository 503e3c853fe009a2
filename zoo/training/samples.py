"""Augmented training images for the report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.data import TRAIN, ImageData
from zoo.recipe import Recipe
from zoo.training.augment import augment, call_function, random_generator
from zoo.training.views import show_views


def augmented_samples(
    data: ImageData, recipe: Recipe, seed: int, count: int = 24, *, taught: bool = False
) -> NDArray[np.uint8] | None:
    """Augmented training images: the fixed views of a head or of teachers, or else those of the first epochs.

    Args:
        data: The data with the training images.
        recipe: The recipe with the augmentation and the number of views.
        seed: Seed of the run.
        count: Maximum number of images in total.
        taught: Whether the run has teachers.

    Returns:
        uint8 ``(images, versions, height, width, 3)`` of up to 4 images. ``None`` if training uses only the plain
        images.
    """
    if not recipe.augments:
        return None
    indices = data.indices(TRAIN)
    chosen = indices[np.linspace(0, len(indices) - 1, min(4, len(indices))).astype(int)]
    versions = max(1, count // len(chosen))
    if taught or not recipe.epochs:
        views = (recipe.teacher_views or 1) if taught else recipe.head_views
        shown = [show_views(data, chosen, [view] * len(chosen), recipe) for view in range(1, views)[:versions]]
        return np.stack(shown, axis=1) if shown else None
    samples = np.stack([data.pixels.read(chosen)] * versions)
    for epoch, images in enumerate(samples):
        augment(images, recipe.ranges, (random_generator(seed, epoch, index) for index in chosen.tolist()))
        call_function(images, recipe.ranges, random_generator(seed, epoch, 0))
    return samples.swapaxes(0, 1)
