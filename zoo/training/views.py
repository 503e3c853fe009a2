"""Fixed views of an image: the plain view, and augmented views that are the same in every epoch and every run.

The output of a frozen network for such a view can be cached. A view is cut from the resized image at fractions of its
sides, and is rotated and coloured in the same way at any size. Therefore networks with different input sizes see the
same part of a photo if their resize rules keep the same part. For a wide photo, ``crop`` keeps the middle and
``squash`` keeps everything, so the views differ as much as the plain images do.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.data import ImageData
from zoo.data.arrays import CachedArrays
from zoo.recipe import Recipe
from zoo.training.augment import augment, call_function, random_generator

#: Changed whenever the pixels of the same view of the same image change.
VERSION = 2


def turns(epoch: int, images: NDArray[np.int64], views: int) -> NDArray[np.int64]:
    """The view of each image in an epoch. The epochs cycle through all views, each equally often."""
    return (epoch + images) % views


def show_views(
    data: ImageData, chosen: Sequence[int] | NDArray[np.int64], views: Sequence[int] | NDArray[np.int64], recipe: Recipe
) -> NDArray[np.uint8]:
    """Pixels of one view of each image. They depend only on the content of the file and the number of the view.

    Args:
        data: The dataset.
        chosen: Positions of the images.
        views: The view of each image. 0 is the plain image.
        recipe: The recipe with the augmentation.
    """
    images = data.pixels.read(chosen)
    augmented = np.flatnonzero(np.asarray(views))
    if augmented.size:
        numbers = [int(data.contents[chosen[place]][:15], 16) for place in augmented.tolist()]
        keys = [(int(views[place]), number) for place, number in zip(augmented.tolist(), numbers, strict=True)]
        changed = images[augmented]
        augment(changed, recipe.ranges, (random_generator(0, *key) for key in keys))
        for place, key in enumerate(keys):  # one by one, because batches depend on the content of the cache
            call_function(changed[place : place + 1], recipe.ranges, random_generator(1, *key))
        images[augmented] = changed
    return images


def read_views(
    computed: Sequence[CachedArrays], rows: NDArray[np.int64], views: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The outputs of a network for one view of each image.

    Args:
        computed: The outputs on all images for every view, ``(outputs,)`` each.
        rows: Rows of the images.
        views: The view of each image.
    """
    found = np.empty((len(rows), *computed[0].shape), np.float32)
    for view in np.unique(views).tolist():
        shown = views == view
        found[shown] = computed[view].read(rows[shown])
    return found
