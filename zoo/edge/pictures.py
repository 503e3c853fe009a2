"""Converts images that were given in Python (paths, arrays and Pillow images) for the runner."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.edge.sources import below, is_folder
from zoo.errors import DataError, UsageError
from zoo.images import ImageError
from zoo.images.arrays import MULTIPLY, as_array, as_picture, described, is_array, is_batch
from zoo.images.pillow import encoded, is_pillow

if TYPE_CHECKING:
    from zoo.edge.sources import Picture

_EXPECTED = "Give paths, uint8 arrays (height, width, 3) with red first, or images of Pillow; one or a list of them."


def as_pictures(items: object) -> Iterator[tuple[str, Picture]]:
    """Yields name and image of each item for ``Classifier.classify``, one at a time.

    An image gets the same prediction as a file with its content: gray arrays are treated like gray files, and EXIF
    orientation, transparency and depth of a Pillow image are treated as in a file.

    Args:
        items: One image, or a list or another iterable of images. An image is

            - a path; for a folder, all images below it are used;
            - an array or a tensor, ``(height, width, 3)`` RGB, or gray as ``(height, width, 1)`` or
              ``(height, width)``: uint8, or whole numbers from 0 to 255; or a batch of them with one axis more;
            - an image of Pillow;
            - the bytes of a file.

    Returns:
        An iterator. The name of a file is its path; a Pillow image that was opened from a file has the name of that
        file. Other images are named by position, such as ``[3]``, or ``[3][0]`` in a batch. For an image that cannot be
        read, the ``ImageError`` is yielded instead; the others are not affected.

    Raises:
        UsageError: An item cannot be an image, such as a dict or ``None``.
        DataError: An array has the wrong shape, type or values, or the iterable raised an error.

    >>> import numpy as np
    >>> [(name, picture.shape) for name, picture in as_pictures(np.zeros((2, 48, 64, 3), np.uint8))]
    [('[0]', (48, 64, 3)), ('[1]', (48, 64, 3))]
    """
    if isinstance(items, Mapping) or hasattr(items, "columns"):
        hint = "Give the column of paths, such as table['path']." if hasattr(items, "columns") else _EXPECTED
        raise UsageError(f"Expected pictures. Received: {type(items).__name__}.", hint)
    if _is_path(items) or is_pillow(items) or isinstance(items, (bytes, bytearray, memoryview)):
        return _pictures_of("[0]", items)
    if is_array(items):
        of_any: Any = items
        if len(np.shape(of_any)) != 1:  # otherwise it is an array of paths
            return _pictures_of("", items)
    if not isinstance(items, Iterable):
        raise UsageError(f"Expected pictures. Received: {described(items)}.", _EXPECTED)
    return _each(items)


def _each(items: Iterable[object]) -> Iterator[tuple[str, Picture]]:
    iterator, place = iter(items), 0
    while True:
        try:
            item = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise DataError(f"The pictures ended with an error after {place} of them: {error!r}.") from error
        yield from _pictures_of(f"[{place}]", item)
        place += 1


def _pictures_of(name: str, item: Any) -> Iterator[tuple[str, Picture]]:
    """Yields the images of one item: a single image, or all images of a folder or a batch."""
    if _is_path(item):
        yield from _of_path(os.fsdecode(item))
    elif is_pillow(item):
        filename = getattr(item, "filename", "")
        name = os.fsdecode(filename) if filename and isinstance(filename, (str, bytes, os.PathLike)) else name or "[0]"
        try:
            yield name, encoded(item)
        except ImageError as error:
            yield name, ImageError(error.reason, name)
    elif isinstance(item, (bytes, bytearray, memoryview)):
        yield name, bytes(item)
    elif is_array(item):
        yield from _of_array(name, item)
    else:
        hint = "Remove the labels: (image for image, label in pictures)." if isinstance(item, tuple) else _EXPECTED
        raise UsageError(f"Expected a picture. Received: {name}, {described(item)}.", hint)


def _of_path(path: str) -> Iterator[tuple[str, Picture]]:
    if not path:
        raise UsageError("Expected the path of an image. Received: an empty string.", _EXPECTED)
    if is_folder(Path(path)):
        yield from below(Path(path))
    else:
        yield path, Path(path)


def _of_array(name: str, item: Any) -> Iterator[tuple[str, Picture]]:
    array = as_array(item, f"pictures{name}")
    if array.ndim == 3 and is_batch(array.shape) and array.shape[0] in (1, 3, 4):
        raise DataError(
            f"pictures{name} of shape {array.shape} may be gray pictures, or one picture with channels first.",
            "Gray pictures: pictures[..., None]. Channels first: numpy.moveaxis(picture, 0, -1).",
        )
    if is_batch(array.shape):
        for place, picture in enumerate(array):
            yield from _of_one(f"{name}[{place}]", picture)
    else:
        yield from _of_one(name or "[0]", array)


def _of_one(name: str, array: Any) -> Iterator[tuple[str, Picture]]:
    pixels = as_picture(array, f"pictures{name}")
    if array.dtype != np.uint8 and pixels.max() == 1:
        raise DataError(
            f"Expected values from 0 to 255. Received: pictures{name}, {array.dtype} with no value above 1.",
            MULTIPLY,
        )
    yield name, np.ascontiguousarray(pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2))


def _is_path(item: object) -> bool:
    return isinstance(item, (str, os.PathLike))
