"""Data given in Python as a source that ``load_data`` takes: paths, arrays, tables, datasets and batches.

Arrays become files. So there is one path from file to label, whatever was given: the same decoding, splitting and
caching as of a folder of photos, and the same proof from file to label when an exported model is verified.
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

#: Images that are taken of an iterable that does not say how many it has.
MAX_IMAGES = 100_000

_EXPECTED = (
    "Give a path, the name of a dataset, (images, labels), a dict of splits, a DataFrame with the columns path and "
    "label, or an iterable of batches (images, labels)."
)


def as_source(
    data: object, class_names: object = None, *, max_images: int = MAX_IMAGES, progress: Progress | None = None
) -> str:
    """Turns what was given as ``data`` into what ``load_data``, ``load_for_evaluation`` and ``find_source`` take.

    A path or a name is passed on. Arrays are written once into the cache folder, as PNG files with exactly their
    values; the same arrays with the same labels are found again there and not written a second time. Nothing that was
    given is changed, and no array is held afterwards.

    Args:
        data: One of

            - a path, or the name of a dataset;
            - ``(images, labels)``: a uint8 array ``(n, height, width, 3)``, red first, or ``(n, height, width)`` or
              ``(n, height, width, 1)`` for gray; or a list of such pictures of different sizes, or of images of Pillow.
              Other numbers are taken where all are whole and from 0 to 255;
            - a dict such as ``{"train": ..., "test": ...}`` with any of the others for each split. A split that is
              missing is made, as it is of a folder;
            - a DataFrame with the columns ``path`` and ``label`` and perhaps ``split``. Relative paths are taken from
              the current folder;
            - a ``tf.data.Dataset`` or any other iterable of batches ``(images, labels)`` or of examples
              ``(image, label)``. It is read once.

            Labels are names of classes, or whole numbers from 0 or one-hot rows together with ``class_names``.
        class_names: Name of class 0, of class 1, and so on. Not needed where ``data.class_names`` has them, as datasets
             of ``keras.utils.image_dataset_from_directory`` do. The classes of a model are sorted by name, whatever
            their order here.
        max_images: Most images of an iterable that does not say how many it has, and so may have no end. Its pixels
            may also not take more than ``ZOO_CACHE_GB``.
        progress: Called with images done and images to do, as ``load_data`` calls it.

    Returns:
        The path of a CSV file in the cache folder; or the path or the name that was given.

    Raises:
        UsageError: ``data`` is none of these, has no end, or has a split of an unknown name; or class names are
            missing.
        DataError: Images, labels or rows are not as they must be, the iterable raised an error or gave nothing, or the
            disk is full. Nothing is left behind.

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
    """A path as text that cannot be taken for the name of a dataset."""
    text = os.fsdecode(path)
    return text if os.path.dirname(text) else os.path.join(os.curdir, text)  # noqa: PTH118, PTH120


def _of_splits(data: Mapping[Any, Any], class_names: object, max_images: int) -> list[Part]:
    if not data:
        raise UsageError("The dict of splits is empty.", 'Such as {"train": (images, labels)}.')
    found: dict[str, str] = {}
    parts = []
    for name, value in data.items():
        key = name.lower() if isinstance(name, str) else ""
        if key not in SPLIT_NAMES:
            guess = did_you_mean(key, SPLIT_NAMES) if key else ""
            hint = f"Known: {', '.join(SPLIT_NAMES)}."
            if {"path", "label"} <= data.keys():
                hint += " Of a dict of columns, pandas.DataFrame(data) makes a table."
            raise UsageError(f"Unknown split {name!r}.{guess}", hint)
        split = SPLIT_NAMES[key]
        if split in found:
            raise UsageError(f"{found[split]!r} and {name!r} are the same split.", "Join them, or leave one out.")
        found[split] = str(name)
        part = _files(value, name) if isinstance(value, (str, os.PathLike)) else _part(value, class_names, max_images)
        parts.append(_within(part, split))
    return parts


def _within(part: Part, split: str) -> Part:
    """The images of a part as those of a split.

    Raises:
        DataError: The part is divided itself, and some of its images belong elsewhere.
    """

    def items() -> Any:
        for item in part.items():
            if item.split not in (None, split):
                raise DataError(
                    f"What was given for '{split}' is itself divided, and holds images of '{item.split}'.",
                    "Give it alone, without the dict, or without its splits.",
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
        raise UsageError(f"Images came without labels. Received: {described(data)}.", "Give (images, labels).")
    if callable(data) and not is_iterable(data):
        raise UsageError(f"Expected data. Received: {described(data)}.", "Call the function, and give what it returns.")
    if isinstance(data, (bytes, bytearray, set, frozenset, Mapping)) or not is_iterable(data):
        raise UsageError(f"Expected data. Received: {described(data)}.", _EXPECTED)
    return from_batches(data, class_names, max_images)


__all__ = ["MAX_IMAGES", "as_source"]
