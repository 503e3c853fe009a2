"""Converts labels given in Python to class names: strings, numbers with their names, or one-hot rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError, UsageError, did_you_mean
from zoo.images.arrays import described, is_array

_ONE_EACH = "Give one label for each image, in the same order: (images, labels)."
_ARGMAX = "Give class indices, labels.argmax(axis=1), with class_names."


class Labels:
    """Converts the labels of one source to class names, batch by batch.

    Args:
        class_names: Names of class 0, class 1, and so on. Without them, labels must be strings.

    Raises:
        UsageError: ``class_names`` is not a list of unique names.
    """

    def __init__(self, class_names: Any = None) -> None:
        self._names = None if class_names is None else _checked_names(class_names)
        self._known: set[str] = set()
        self._kind = ""

    def read(self, labels: Any, count: int, name: str = "labels", where: str = "") -> list[str]:
        """Class name of each of ``count`` images.

        Args:
            labels: A list or an array of strings, of whole numbers from 0, ``(n,)`` or ``(n, 1)``, or of one-hot rows
                ``(n, k)``.
            count: Number of images.
            name: Name of the labels in messages.
            where: Text after their number in messages, such as ``" in item 3 of the iterable"``.

        Raises:
            DataError: The number of labels differs from the number of images, or a label is invalid.
        """
        values = _listed(labels, name)
        if len(values) != count:
            raise DataError(f"Received {count} images and {len(values)} labels{where}.", _ONE_EACH)
        if count == 0:
            return []
        numbers = values if isinstance(values, np.ndarray) else _numbers(values, name)
        self._agree("text" if numbers is None else "number", name)
        if numbers is None:
            return [self._text(value, f"{name}[{place}]") for place, value in enumerate(values)]
        return self._of_numbers(numbers, name)

    def _agree(self, kind: str, name: str) -> None:
        if self._kind not in ("", kind):
            raise DataError(
                f"Some labels are strings and some are numbers: {name} is the first of another type.",
                "Give either names of classes, or numbers with class_names.",
            )
        self._kind = kind

    def _text(self, value: Any, name: str) -> str:
        if isinstance(value, bytes):
            try:
                value = value.decode()
            except UnicodeDecodeError:
                raise DataError(f"{name} is {value!r}, which is not UTF-8 text.", "Give labels as str.") from None
        label = str(value)
        if label not in self._known:
            _check_name(label, name)
            if self._names is not None and label not in self._names:
                guess = did_you_mean(label, self._names)
                raise DataError(f"{name} is {label!r}, which is not in class_names.{guess}", _known(self._names))
            self._known.add(label)
        return label

    def _of_numbers(self, numbers: NDArray[Any], name: str) -> list[str]:
        if numbers.ndim == 2 and numbers.shape[1] != 1:
            numbers = self._from_one_hot(numbers, name)
        elif numbers.ndim == 2:
            numbers = numbers[:, 0]
        elif numbers.ndim != 1:
            raise DataError(
                f"Expected one label for each image. Received: {name} of shape {numbers.shape}.",
                "Labels are texts, or numbers with class_names.",
            )
        _check_numbers(numbers, name)
        if self._names is None:
            classes = int(numbers.max()) + 1
            raise UsageError(
                f"The labels are numbers, for example {int(numbers[0])}, but class_names is missing.",
                "Give their names in order, class_names=['rugby', 'soccer']; or the numbers as names, "
                f"class_names=[str(number) for number in range({classes})].",
            )
        beyond = np.flatnonzero(numbers >= len(self._names))
        if beyond.size:
            place = int(beyond[0])
            raise DataError(
                f"{name}[{place}] is {int(numbers[place])}, and there are {len(self._names)} class_names, for the "
                f"labels 0 to {len(self._names) - 1}.",
                "Give a name for every class, or labels that count from 0.",
            )
        return [self._names[number] for number in numbers.astype(np.int64).tolist()]

    def _from_one_hot(self, rows: NDArray[Any], name: str) -> NDArray[Any]:
        shape = f"{name} of shape {rows.shape}"
        if not np.isin(rows, (0, 1)).all():
            raise DataError(f"{shape} are neither numbers of classes nor one-hot rows of 0 and 1.", _ARGMAX)
        ones = rows.sum(axis=1)
        if (ones != 1).any():
            place = int(np.flatnonzero(ones != 1)[0])
            raise DataError(
                f"Expected one class for each image. Received: {shape}, where row {place} holds {ones[place]:g} ones.",
                f"An image has exactly one label. {_ARGMAX}",
            )
        if self._names is None or len(self._names) != rows.shape[1]:
            given = "no class_names" if self._names is None else f"{len(self._names)} class_names"
            raise DataError(
                f"One-hot labels need one name for each column. Received: {shape} and {given}.",
                f"Give {rows.shape[1]} class_names, in the order of the columns.",
            )
        return np.asarray(rows.argmax(axis=1))


def _listed(labels: Any, name: str) -> Sequence[Any] | NDArray[Any]:
    """Converts to a list of objects or an array of numbers. The values are not checked yet."""
    if isinstance(labels, (str, bytes, dict)) or not (is_array(labels) or isinstance(labels, Iterable)):
        raise DataError(f"Expected a list or an array of labels. Received: {described(labels)}.", _ONE_EACH)
    if np.ma.is_masked(labels):
        raise DataError(f"{name} is a masked array, and some labels are masked.", "Remove their images.")
    if not is_array(labels):
        return list(labels)
    try:
        array = np.asarray(labels)
    except Exception as error:  # each tensor library has its own types
        raise DataError(f"Could not read {name} as a NumPy array: {error}.", "Give a NumPy array or a list.") from error
    if array.ndim == 0:
        raise DataError(f"Expected a list or an array of labels. Received: {described(labels)}.", _ONE_EACH)
    if array.dtype.kind in "OSUT":
        flat: list[Any] = (array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array).tolist()
        return flat
    return array


def _numbers(values: Sequence[Any], name: str) -> NDArray[Any] | None:
    """The labels as an array of numbers. ``None`` if all of them are strings."""
    texts = [isinstance(value, (str, bytes)) for value in values]
    if all(texts):
        return None
    for place, value in enumerate(values):
        if is_missing(value):
            raise DataError(f"{name}[{place}] is {value!r}: an image without a label.", "Remove that image.")
    if any(texts):
        text, other = values[texts.index(True)], values[texts.index(False)]
        raise DataError(
            f"Some labels are strings, for example {text!r}, and some are not, for example {other!r}.",
            "Give either names of classes, or numbers with class_names.",
        )
    try:
        array = np.asarray([np.asarray(value) for value in values])
    except Exception as error:
        raise DataError(f"The labels are neither strings nor numbers: {error}.", _ONE_EACH) from error
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"The labels are neither strings nor numbers, for example {described(values[0])}.",
            _ONE_EACH,
        )
    return array


def _check_numbers(numbers: NDArray[Any], name: str) -> None:
    if numbers.dtype.kind not in "iuf":
        hint = f"False and True: {name}.astype(int), with two class_names." if numbers.dtype.kind == "b" else _ARGMAX
        raise DataError(f"Expected texts or whole numbers. Received: {name} of type {numbers.dtype}.", hint)
    for wrong, why in (
        (~np.isfinite(numbers), "an image without a label"),
        (numbers < 0, "labels start at 0"),
        (np.rint(numbers) != numbers, "class indices must be whole numbers"),
    ):
        if wrong.any():
            place = int(np.flatnonzero(wrong)[0])
            raise DataError(f"{name}[{place}] is {numbers[place]:g}: {why}.", "Correct it, or remove that image.")


def is_missing(value: Any) -> bool:
    """Whether the value is missing: ``None``, NaN, or ``NA`` and ``NaT`` of pandas."""
    if value is None:
        return True
    try:
        return bool(np.ndim(value) == 0 and value != value)
    except TypeError:  # pandas.NA == pandas.NA is neither true nor false
        return True


def _checked_names(names: Any) -> list[str]:
    if isinstance(names, (str, bytes, dict, set, frozenset)) or not isinstance(names, Iterable):
        raise UsageError(
            f"class_names must be a list, in the order of the labels. Received: {described(names)}.",
            "For example: class_names=['rugby', 'soccer'].",
        )
    found: list[str] = []
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise UsageError(f"class_names[{place}] must be text. Received: {described(name)}.", "Give str(name).")
        _check_name(str(name), f"class_names[{place}]")
        if name in found:
            raise UsageError(
                f"class_names[{place}] is {name!r}, and so is class_names[{found.index(name)}].",
                "Class names must be unique.",
            )
        found.append(str(name))
    if not found:
        raise UsageError("class_names is empty.", "Give the name of every class.")
    return found


def _check_name(label: str, name: str) -> None:
    """Refuses names that would change in a CSV file, in a list with one label per line, or in a terminal."""
    if not label.strip():
        raise DataError(f"{name} is {label!r}: a class needs a name.", "Remove its images, or name the class.")
    if label != label.strip():
        raise DataError(
            f"{name} is {label!r}, with leading or trailing spaces.", f"Give {label.strip()!r}: label.strip()."
        )
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in label):
        raise DataError(f"{name} is {label!r}, with a control character or a line end.", "Give one line of text.")


def _known(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"It contains {', '.join(names[:8])}{more}."
