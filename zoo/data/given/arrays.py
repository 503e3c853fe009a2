"""Reads a pair ``(images, labels)``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.given.labels import Labels
from zoo.data.given.parts import Item, Part
from zoo.errors import DataError, UsageError
from zoo.images import ImageError, decode
from zoo.images.arrays import EXPECTED, as_array, as_picture, check_batch, described, is_array
from zoo.images.pillow import encoded, is_pillow


def from_pair(images: Any, labels: Any, class_names: Any) -> Part:
    """Images in memory, or in an object that can be indexed like an array.

    Args:
        images: An array ``(n, height, width, 3)``, ``(n, height, width, 1)`` or ``(n, height, width)``, or a list of
            images of different sizes. It is read as needed and never changed.
        labels: One label per image.
        class_names: Class names, if the labels are numbers.

    Raises:
        UsageError: The arguments are not such a pair.
        DataError: Shapes, lengths or labels are invalid. Values are checked when they are read.
    """
    count = len_of_images(images, "images")
    names = Labels(class_names).read(labels, count)

    def items() -> Iterator[Item]:
        for place, label in enumerate(names):
            yield Item(picture(_taken(images, place), f"images[{place}]"), label)

    return Part(items, count)


def _taken(images: Any, place: int) -> Any:
    try:
        return images[place]
    except Exception as error:  # such as from an HDF5 file that is closed or damaged
        raise DataError(f"Could not read images[{place}]: {error}.", "Check the source of the images.") from error


def len_of_images(images: Any, name: str) -> int:
    """Number of images in an array or a list. The values are not checked.

    Raises:
        UsageError: The argument is neither an array nor a list.
        DataError: The array does not contain images.
    """
    if isinstance(images, (list, tuple)):
        return len(images)
    if not is_array(images) or is_pillow(images):
        raise UsageError(
            f"Expected an array or a list of images. Received: {name}, {described(images)}.",
            f"Give (images, labels), where images are {EXPECTED}.",
        )
    try:
        shape = tuple(np.shape(images))
    except Exception as error:  # such as from an HDF5 file that is closed
        raise DataError(f"Could not read {name}: {error}.", "Check the source of the images.") from error
    if np.ma.is_masked(images) or np.dtype(object) == getattr(images, "dtype", None):
        as_array(images, name)  # raises an error with the reason
    check_batch(shape, name)
    return int(shape[0])


def picture(value: Any, name: str) -> NDArray[np.uint8]:
    """Pixels of one item: an array, or a Pillow image, decoded like its file.

    Raises:
        DataError: The item is not an image.
    """
    if isinstance(value, (str, bytes, os.PathLike)):
        raise DataError(
            f"Expected pixels. Received: {name}, {described(value)}.",
            'Give paths as a table: pandas.DataFrame({"path": paths, "label": labels}).',
        )
    if not is_pillow(value):
        return as_picture(value, name)
    try:
        return decode(encoded(value))
    except ImageError as error:
        raise DataError(f"Could not read {name}: {error.reason}.", "Remove it and its label.") from error
