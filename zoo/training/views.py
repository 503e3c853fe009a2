"""Fixed views of an image: the plain one, and augmented ones that are the same in every epoch and every run.

What a frozen network computes of such a view can be cached. A view is cut out after the file became pixels, by shares
of the image's sides, and turned and coloured alike at any size. So networks of different sizes look at the same part of
a photo where their resize rules keep the same of it; of a wide photo, ``crop`` keeps the middle and ``squash`` all, and
the parts differ as much as the plain images do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.data import ImageData
from zoo.data.arrays import CachedArrays
from zoo.recipe import Recipe
from zoo.training.augment import augment, call_function, random_generator

#: Changed whenever the same view of the same image would have other pixels.
VERSION = 2


def turns(epoch: int, images: NDArray[np.int64], views: int) -> NDArray[np.int64]:
    """Which view each image shows in an epoch: all of them in turn, each as often as the others."""
    return (epoch + images) % views


def show_views(
    data: ImageData, chosen: Sequence[int] | NDArray[np.int64], views: Sequence[int] | NDArray[np.int64], recipe: Recipe
) -> NDArray[np.uint8]:
    """Pixels of one view of each image: a function of the file's content and the number of the view alone.

    Args:
        data: The images.
        chosen: Which of them.
        views: The view of each; 0 is the plain image.
        recipe: Has the augmentation.
    """
    images = data.pixels.read(chosen)
    augmented = np.flatnonzero(np.asarray(views))
    if augmented.size:
        numbers = [int(data.contents[chosen[place]][:15], 16) for place in augmented.tolist()]
        keys = [(int(views[place]), number) for place, number in zip(augmented.tolist(), numbers, strict=True)]
        changed = images[augmented]
        augment(changed, recipe.ranges, (random_generator(0, *key) for key in keys))
        for place, key in enumerate(keys):  # one by one, as batches depend on what the cache has already
            call_function(changed[place : place + 1], recipe.ranges, random_generator(1, *key))
        images[augmented] = changed
    return images


def read_views(
    computed: Sequence[CachedArrays], rows: NDArray[np.int64], views: NDArray[np.int64]
) -> NDArray[np.float32]:
    """What a network computed of one view of each image.

    Args:
        computed: For every view, its outputs on all images, ``(outputs,)`` each.
        rows: Which of the images.
        views: The view of each.
    """
    found = np.empty((len(rows), *computed[0].shape), np.float32)
    for view in np.unique(views).tolist():
        shown = views == view
        found[shown] = computed[view].read(rows[shown])
    return found
