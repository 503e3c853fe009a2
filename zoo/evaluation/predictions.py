"""The predictions of a model on a split, as a record and as ``predictions.csv``."""

from __future__ import annotations

import csv
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.atomic import whole_file
from zoo.errors import DataError, TrainingError, ZooError

COLUMNS = ("file", "true", "predicted")
#: Prefix of class names in column names, so that a class can be called ``file``.
PREFIX = "p:"

#: How the file is opened. A file name that is not valid UTF-8 keeps its bytes.
_TEXT: Any = {"encoding": "utf-8", "errors": "surrogateescape", "newline": ""}


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of a model, one row per image.

    Args:
        labels: Unique class names in the order of the model's outputs.
        files: Names of the images, as in ``split.csv``.
        true: ``(n,)`` integers, the index into ``labels`` of each image's class.
        probabilities: ``(n, k)`` float32, each from 0 to 1. Rows of a Keras model sum to 1. Those of a quantised model
            may deviate slightly, so the sum is not checked.

    Raises:
        DataError: Lengths differ, a label occurs twice, or a value is out of range (including NaN).

    >>> predictions = Predictions(("cat", "dog"), ("1.jpg", "2.jpg"), [0, 1], [[0.9, 0.1], [0.7, 0.3]])
    >>> predictions.predicted.tolist(), predictions.correct.tolist()
    ([0, 0], [True, False])
    """

    labels: tuple[str, ...]
    files: tuple[str, ...]
    true: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "files", tuple(self.files))
        object.__setattr__(self, "true", _whole_numbers(self.true))
        object.__setattr__(self, "probabilities", np.array(self.probabilities, np.float32))
        self._check()
        self.true.setflags(write=False)
        self.probabilities.setflags(write=False)

    def __len__(self) -> int:
        return len(self.files)

    @cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """``(n,)`` index of the largest probability. The first index if several are equal."""
        largest: npt.NDArray[np.int64] = self.probabilities.argmax(axis=1).astype(np.int64)
        return largest

    @cached_property
    def correct(self) -> npt.NDArray[np.bool_]:
        """``(n,)`` whether the predicted class is the true one."""
        return np.equal(self.predicted, self.true)

    @cached_property
    def confidence(self) -> npt.NDArray[np.float32]:
        """``(n,)`` probability of the predicted class."""
        largest: npt.NDArray[np.float32] = self.probabilities.max(axis=1)
        return largest

    @cached_property
    def first_half(self) -> npt.NDArray[np.bool_]:
        """``(n,)`` whether an image is in the first half, which contains half of every class."""
        order = np.argsort(self.true, kind="stable")
        chosen = np.zeros(len(self), bool)
        chosen[order[::2]] = True
        return chosen

    def write_csv(self, path: Path) -> None:
        """Writes one row per image: ``file``, ``true``, ``predicted``, and ``p:<label>`` for each class.

        Probabilities are written as the shortest decimals that give the same float32. The encoding is UTF-8; a file
        name that is not valid UTF-8 keeps its bytes.
        """
        with whole_file(path) as aside, aside.open("w", **_TEXT) as file:
            # All text is quoted, because csv would not quote a name with a carriage return.
            writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
            writer.writerow([*COLUMNS, *(PREFIX + label for label in self.labels)])
            rows = zip(self.files, self.true, self.predicted, self.probabilities, strict=True)
            for name, true, predicted, row in rows:
                writer.writerow([name, self.labels[true], self.labels[predicted], *row])

    @classmethod
    def read_csv(cls, path: Path) -> Predictions:
        """The inverse of ``write_csv``.

        Raises:
            TrainingError: The file does not exist, or has another format than ``write_csv`` writes; the message names
                the line.
        """
        try:
            with path.open(**_TEXT) as file:
                return _parse(csv.reader(file))
        except (OSError, csv.Error, UnicodeError, ZooError) as error:
            reason = error.message if isinstance(error, ZooError) else str(error)
            raise TrainingError(f"Could not read {path}: {reason}", "The run is damaged. Train again.") from error

    def _check(self) -> None:
        n, k = len(self.files), len(self.labels)
        twice = [label for label, count in Counter(self.labels).items() if count > 1]
        if twice or not k:
            raise DataError(
                f"Labels must be given, and must be unique. Received twice: {twice}." if k else "No labels."
            )
        if self.true.shape != (n,) or self.probabilities.shape != (n, k):
            raise DataError(
                f"For {n} files and {k} labels, `true` must have the shape ({n},) and `probabilities` ({n}, {k}). "
                f"Received: {self.true.shape} and {self.probabilities.shape}."
            )
        outside = np.flatnonzero((self.true < 0) | (self.true >= k))
        if outside.size:
            row = int(outside[0])
            raise DataError(f"Class {self.true[row]} of {self.files[row]!r} is not from 0 to {k - 1}.")
        # Comparisons with NaN are false, so this also detects NaN. The tolerance allows for sums in low precision.
        valid = (self.probabilities >= 0) & (self.probabilities <= 1 + 1e-3)
        if not valid.all():
            row, column = (int(index) for index in np.argwhere(~valid)[0])
            value = self.probabilities[row, column]
            raise DataError(
                f"The probability of {self.labels[column]!r} for {self.files[row]!r} is {value}, not from 0 to 1.",
                "NaN means that training diverged. Try a lower learning rate." if np.isnan(value) else None,
            )


def _whole_numbers(values: Any) -> npt.NDArray[np.int64]:
    given = np.array(values)
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise DataError(f"True classes must be whole numbers. Received: {given.dtype}.")
    return given.astype(np.int64)


def _parse(rows: Iterator[list[str]]) -> Predictions:
    header = next(rows, [])
    names = header[len(COLUMNS) :]
    if tuple(header[: len(COLUMNS)]) != COLUMNS or not all(name.startswith(PREFIX) for name in names):
        raise DataError(f"the first line must be {','.join(COLUMNS)},{PREFIX}<label>,... Received: {list(header)[:5]}.")
    labels = tuple(name.removeprefix(PREFIX) for name in names)
    index = {label: number for number, label in enumerate(labels)}
    files: list[str] = []
    classes: list[list[int]] = []
    probabilities = array("f")  # grows without a copy of the text of all rows
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise DataError(f"row {number} has {len(row)} fields, but the header has {len(header)}.")
        try:
            files.append(row[0])
            classes.append([index[label] for label in row[1:3]])
            probabilities.extend([float(value) for value in row[3:]])
        except KeyError as error:
            raise DataError(f"row {number} has a class without a column: {error}.") from None
        except ValueError as error:
            raise DataError(f"row {number}: {error}.") from None
    true, predicted = np.array(classes, np.int64).reshape(-1, 2).T
    values = np.frombuffer(probabilities, np.float32) if files else np.empty(0, np.float32)
    found = Predictions(labels, tuple(files), true, values.reshape(len(files), len(labels)))
    edited = np.flatnonzero(found.predicted != predicted)
    if edited.size:
        raise DataError(f"row {edited[0] + 1}: the predicted class is not the one with the largest probability.")
    return found
