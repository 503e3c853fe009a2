"""Reads a ``tf.data.Dataset``, a loader of another library, or any iterable of batches or of examples."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from zoo.data.cache import bound_bytes
from zoo.data.given.arrays import len_of_images, picture
from zoo.data.given.labels import Labels
from zoo.data.given.parts import Item, Part
from zoo.errors import DataError, UsageError, ZooError
from zoo.images.arrays import described, is_array, is_batch
from zoo.images.pillow import is_pillow

_EXPECTED = (
    "Each item is a batch (images, labels) or an example (image, label). To give images and labels without an "
    "iterable, use a tuple: (images, labels)."
)


def is_iterable(data: Any) -> bool:
    return isinstance(data, Iterable) or (
        hasattr(data, "__getitem__") and any(hasattr(data, name) for name in ("__len__", "num_batches"))
    )


def from_batches(data: Any, class_names: Any, max_images: int) -> Part:
    """Images from an iterable of batches or of single examples.

    Args:
        data: Yields pairs. It is read once.
        class_names: Class names, if the labels are numbers. By default, the attribute ``class_names`` of ``data``,
            which datasets of ``keras.utils.image_dataset_from_directory`` have.
        max_images: Maximum number of images if the length is unknown.

    Raises:
        UsageError: The iterable declares that it is infinite.
    """
    promised = _promised(data)
    labels = Labels(getattr(data, "class_names", None) if class_names is None else class_names)

    def items() -> Iterator[Item]:
        images, size_bytes = 0, 0
        for place, pair in enumerate(_each(data, promised)):
            for item in _of_pair(pair, f"item {place}", labels):
                images += 1
                size_bytes += item.image.nbytes if isinstance(item.image, np.ndarray) else 0
                if promised is None or place >= promised:
                    _refuse_endless(images, size_bytes, max_images)
                yield item

    return Part(items, None, again=False)


def _promised(data: Any) -> int | None:
    """The declared number of items. ``None`` if it is unknown.

    Raises:
        UsageError: The iterable declares that it is infinite.
    """
    if callable(cardinality := getattr(data, "cardinality", None)):
        number = int(cardinality())  # tf.data: -1 means infinite, -2 unknown
        if number == -1:
            raise _endless(
                "its tf.data cardinality is INFINITE", "Remove .repeat(), or limit the dataset with .take(n)."
            )
        return number if number >= 0 else None
    if hasattr(data, "num_batches"):  # keras.utils.PyDataset
        if data.num_batches is None:
            raise _endless("its num_batches is None", "Set its number of batches.")
        return int(data.num_batches)
    try:
        return len(data)
    except TypeError:  # no length, or an unknown one
        return None


def _endless(why: str, hint: str) -> UsageError:
    return UsageError(f"The dataset is infinite: {why}.", hint)


def _refuse_endless(images: int, size_bytes: int, max_images: int) -> None:
    if images > max_images:
        raise DataError(
            f"The iterable has yielded more than {max_images} images and has no known length. It may be infinite.",
            f"If it is finite, raise the limit: data=zoo.data.as_source(data, max_images={10 * max_images}).",
        )
    if size_bytes > bound_bytes():
        raise DataError(
            f"The first {images} images of the iterable need {size_bytes / 1e9:.2f} GB, more than the limit of the "
            "cache, and it has no known length. It may be infinite.",
            "If it is finite, raise ZOO_CACHE_GB.",
        )


def _each(data: Any, promised: int | None) -> Iterator[Any]:
    """Yields all items, and converts an error of the iterable to a ``DataError``."""
    place = 0
    try:
        # Read by index if possible, because generators of Keras with a length start again after their end.
        by_number = promised is not None and hasattr(data, "__getitem__")
        for item in (data[number] for number in range(promised or 0)) if by_number else iter(data):
            yield item
            place += 1
    except ZooError:
        raise
    except Exception as error:
        raise DataError(
            f"The iterable ended with an error after {place} items: {type(error).__name__}: {error}.",
            "No data was kept. Fix the error in the iterable, and try again.",
        ) from error
    if place == 0:
        raise DataError(
            "The iterable is empty.", "A generator can be read only once. Create it again, or give a list of batches."
        )


def _of_pair(pair: Any, name: str, labels: Labels) -> Iterator[Item]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        received = f"{len(pair)} parts" if isinstance(pair, (tuple, list)) else described(pair)
        raise DataError(
            f"Expected pairs of images and labels. Received: {name} of the iterable, {received}.", _EXPECTED
        )
    images, given = pair
    if _is_one_picture(images):
        (label,) = labels.read(_one(given), 1, f"the label of {name}")
        yield Item(picture(images, f"the image of {name}"), label)
        return
    count = len_of_images(images, f"the images of {name}")
    found = labels.read(given, count, f"the labels of {name}", f" in {name} of the iterable")
    for place, label in enumerate(found):
        yield Item(picture(images[place], f"image {place} of {name}"), label)


def _is_one_picture(images: Any) -> bool:
    if is_array(images):
        return not is_batch(tuple(np.shape(images)))
    return is_pillow(images) or isinstance(images, (str, bytes, os.PathLike))


def _one(label: Any) -> Any:
    """Converts the label of one example to the labels of a batch of size 1."""
    if isinstance(label, (str, bytes)) or not is_array(label):
        return [label]
    return np.asarray(label)[None]
