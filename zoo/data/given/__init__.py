"""Converts data given in Python (paths, arrays, tables, datasets, batches) to a source for ``load_data``.

Arrays are written to files. Therefore all data takes the same path from file to label: decoding, splitting and caching
are those of a folder of photos, and so is the verification of an exported model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoo.data.given.arrays import from_pair
from zoo.data.given.batches import from_batches, is_iterable
from zoo.data.given.parts import Item, Part
from zoo.data.given.store import store
from zoo.data.given.table import from_table, is_table
from zoo.data.ingest import Progress
from zoo.data.named import find_source
from zoo.data.source import SPLIT_NAMES, list_source
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.images.arrays import described, is_array
from zoo.images.pillow import is_pillow

#: Maximum number of images of an iterable of unknown length.
MAX_IMAGES = 100_000

_EXPECTED = (
    "Give a path, the name of a dataset, (images, labels), a dict of splits, a DataFrame with the columns path and "
    "label, or an iterable of batches (images, labels)."
)


def as_source(
    data: object, class_names: object = None, *, max_images: int = MAX_IMAGES, progress: Progress | None = None
) -> str:
    """Converts ``data`` to a source that ``load_data``, ``load_for_evaluation`` and ``find_source`` accept.

    A path or a name is returned as is. Arrays are written once to the cache folder, as PNG files with exactly their
    values. The same arrays with the same labels are found there again and not written a second time. The given data is
    not changed, and no array is kept in memory.

    Args:
        data: One of

            - a path, or the name of a dataset;
            - ``(images, labels)``: a uint8 array ``(n, height, width, 3)``, red first, or ``(n, height, width)`` or
              ``(n, height, width, 1)`` for gray; or a list of such images of different sizes, or of Pillow images.
              Other number types are accepted if all values are whole numbers from 0 to 255;
            - a dict such as ``{"train": ..., "test": ...}`` with any of the other forms for each split. Missing splits
              are created as for a folder;
            - a DataFrame with the columns ``path`` and ``label`` and optionally ``split``. Relative paths refer to the
              current folder;
            - a ``tf.data.Dataset`` or any other iterable of batches ``(images, labels)`` or of examples
              ``(image, label)``. It is read once.

            Labels are class names, or whole numbers from 0 or one-hot rows together with ``class_names``.
        class_names: Names of class 0, class 1, and so on. Not needed if ``data`` has an attribute ``class_names``, as
            datasets of ``keras.utils.image_dataset_from_directory`` do. The classes of a model are sorted by name,
            regardless of their order here.
        max_images: Maximum number of images of an iterable without a known length, which may be infinite. Its pixels
            must not need more than ``ZOO_CACHE_GB``.
        progress: Called with images done and images to do, as in ``load_data``.

    Returns:
        The path of a CSV file in the cache folder, or the given path or name.

    Raises:
        UsageError: ``data`` has another form, is infinite, or has a split with an unknown name, or class names are
            missing.
        DataError: Images, labels or rows are invalid, the iterable raised an error or was empty, or the disk is full.
            No partial data is left behind.

    >>> import numpy as np
    >>> images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    >>> labels = ["rugby", "soccer"] * 4
    >>> source = as_source((images, labels))
    >>> source == as_source((images, [0, 1] * 4), class_names=["rugby", "soccer"])
    True
    """
    if isinstance(data, str):
        return str(data)
    if isinstance(data, os.PathLike):
        return _path(data)
    if isinstance(data, Mapping):
        return str(store(_of_splits(data, class_names, max_images), progress))
    return str(store([_part(data, class_names, max_images)], progress))


def _path(path: os.PathLike[Any]) -> str:
    """A path as text that cannot be mistaken for the name of a dataset."""
    text = os.fsdecode(path)
    return text if os.path.dirname(text) else os.path.join(os.curdir, text)  # noqa: PTH118, PTH120


def _of_splits(data: Mapping[Any, Any], class_names: object, max_images: int) -> list[Part]:
    if not data:
        raise UsageError("The dict of splits is empty.", 'For example: {"train": (images, labels)}.')
    found: dict[str, str] = {}
    parts = []
    for name, value in data.items():
        key = name.lower() if isinstance(name, str) else ""
        if key not in SPLIT_NAMES:
            guess = did_you_mean(key, SPLIT_NAMES) if key else ""
            hint = f"Known: {', '.join(SPLIT_NAMES)}."
            if {"path", "label"} <= data.keys():
                hint += " To convert a dict of columns to a table, use pandas.DataFrame(data)."
            raise UsageError(f"Unknown split {name!r}.{guess}", hint)
        split = SPLIT_NAMES[key]
        if split in found:
            raise UsageError(f"{found[split]!r} and {name!r} are the same split.", "Combine them, or remove one.")
        found[split] = str(name)
        part = _files(value, name) if isinstance(value, (str, os.PathLike)) else _part(value, class_names, max_images)
        parts.append(_within(part, split))
    return parts


def _within(part: Part, split: str) -> Part:
    """Assigns the images of a part to a split.

    Raises:
        DataError: The part has its own splits, and some of its images are in another split.
    """

    def items() -> Any:
        for item in part.items():
            if item.split not in (None, split):
                raise DataError(
                    f"The data for '{split}' has its own splits and contains images of '{item.split}'.",
                    "Give it without the dict, or remove its splits.",
                )
            yield replace(item, split=split)

    return replace(part, items=items)


def _files(source: str | os.PathLike[str], name: str) -> Part:
    """The files of a folder, a CSV file or a named dataset."""
    _, path = find_source(source if isinstance(source, str) else _path(source))
    entries = list_source(path).entries
    items = [Item(os.path.abspath(entry.path), entry.label, entry.split) for entry in entries]  # noqa: PTH100
    return Part(lambda: iter(items), len(items))


def _part(data: Any, class_names: object, max_images: int) -> Part:
    if is_table(data):
        return from_table(data, class_names)
    if isinstance(data, tuple) and len(data) == 2:
        if all(isinstance(half, tuple) and len(half) == 2 for half in data):
            raise UsageError(
                "Expected (images, labels). Received: two such pairs.",
                'For a training and a test split: {"train": data[0], "test": data[1]}. For batches, give a list.',
            )
        return from_pair(*data, class_names)
    if is_array(data) or is_pillow(data):
        raise UsageError(
            f"Expected images with labels. Received only images: {described(data)}.", "Give (images, labels)."
        )
    if callable(data) and not is_iterable(data):
        raise UsageError(f"Expected data. Received: {described(data)}.", "Call the function, and give its result.")
    if isinstance(data, (bytes, bytearray, set, frozenset, Mapping)) or not is_iterable(data):
        raise UsageError(f"Expected data. Received: {described(data)}.", _EXPECTED)
    return from_batches(data, class_names, max_images)


__all__ = ["MAX_IMAGES", "as_source"]
