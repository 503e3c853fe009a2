"""Reads a DataFrame of paths and labels: of pandas, or of any library whose tables have ``columns`` and return a column
by its name."""

from __future__ import annotations

import os
from typing import Any

from zoo.data.given.labels import Labels, is_missing
from zoo.data.given.parts import Item, Part
from zoo.data.source import SPLIT_NAMES
from zoo.errors import DataError, did_you_mean

_COLUMNS = ("path", "label")


def is_table(data: Any) -> bool:
    return hasattr(data, "columns") and hasattr(data, "__getitem__")


def from_table(data: Any, class_names: Any) -> Part:
    """The files listed in a table.

    Args:
        data: A table with columns ``path`` (absolute, or relative to the current folder), ``label`` and optionally
            ``split``.
        class_names: Class names, if the labels are numbers.

    Raises:
        DataError: A column or a value is missing, or a file does not exist.
    """
    columns = [str(column) for column in data.columns]
    if missing := [column for column in _COLUMNS if column not in columns]:
        near = next(filter(None, (did_you_mean(column, columns) for column in missing)), "")
        raise DataError(
            f"The table lacks the column(s) {', '.join(missing)}. It has: {', '.join(columns) or 'none'}.{near}",
            f'Rename one: table.rename(columns={{"filename": "{missing[0]}"}}).',
        )
    if twice := [column for column in (*_COLUMNS, "split") if columns.count(column) > 1]:
        raise DataError(f"The table has more than one column {twice[0]!r}.", "Rename or drop the others.")
    paths = _paths(list(data["path"]))
    labels = Labels(class_names).read(list(data["label"]), len(paths), "label")
    splits = _splits(list(data["split"])) if "split" in columns else [None] * len(paths)
    items = [Item(*row) for row in zip(paths, labels, splits, strict=True)]
    return Part(lambda: iter(items), len(items))


def _paths(values: list[Any]) -> list[str]:
    if not values:
        raise DataError("The table has no rows.", "Give one row for each image.")
    found = []
    for row, value in enumerate(values):
        if is_missing(value):
            raise DataError(f"Row {row} of the table has no path: {value!r}.", "Drop such rows: table.dropna().")
        if not isinstance(value, (str, os.PathLike)) or not (path := os.fsdecode(value)).strip():
            raise DataError(f"The path in row {row} of the table is {value!r}.", "Give the path of an image file.")
        if path != path.rstrip():
            raise DataError(
                f"The path in row {row} of the table ends with a space: {path!r}.",
                "Remove it: table.path.str.strip(). If the name of the file ends with a space, rename the file.",
            )
        found.append(os.path.abspath(path))  # noqa: PTH100 - links are not resolved
    gone = [row for row, path in enumerate(found) if not _exists(path)]
    if gone:
        raise DataError(
            f"{len(gone)} of {len(found)} files in the table do not exist, for example row {gone[0]}:"
            f" '{found[gone[0]]}'.",
            f"Relative paths refer to the current folder, {os.getcwd()}.",  # noqa: PTH109
        )
    return found


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path)  # noqa: PTH110 - pathlib raises an error if a name is too long
    except ValueError:  # a null byte
        return False


def _splits(values: list[Any]) -> list[str | None]:
    found: list[str | None] = []
    for row, value in enumerate(values):
        if is_missing(value) or value == "":
            found.append(None)
            continue
        if not isinstance(value, str) or value.strip().lower() not in SPLIT_NAMES:
            raise DataError(
                f"Row {row} of the table has the unknown split {value!r}.",
                f"Known: {', '.join(SPLIT_NAMES)}, or nothing.",
            )
        found.append(SPLIT_NAMES[value.strip().lower()])
    return found
