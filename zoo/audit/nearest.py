"""The exact nearest images of each image, in blocks, so that memory does not grow with the square of their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.data.ingest import Progress

#: Size of a block of similarities: 2048 x 8192 float32 values are 64 MB. Larger blocks are hardly faster.
ROWS, COLUMNS = 2048, 8192
_SELECTED = 256  # rows in which the largest values are selected at once, because their indices need 8 bytes each

#: Pairs of indices, ``(n, 2)``.
Pairs = NDArray[np.intp]

#: Similarities of some rows to some columns, ``(rows, columns)`` float32. The array may be overwritten.
Similarities = Callable[[slice, slice], NDArray[np.float32]]


class Vectors(Protocol):
    """Feature vectors, ``(n, features)`` float32: an array, or rows that are read when they are needed."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | NDArray[np.intp], /) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Nearest:
    """The nearest columns of consecutive rows.

    Args:
        start: Index of the first row.
        columns: Indices of the columns, ``(rows, most)``, in no particular order.
        similarity: Their similarities, ``(rows, most)``.
    """

    start: int
    columns: NDArray[np.intp]
    similarity: NDArray[np.float32]


def nearest(
    similarities: Similarities, rows: int, columns: int, most: int, progress: Progress | None = None
) -> Iterator[Nearest]:
    """The columns with the highest similarities to each row, for blocks of rows.

    All pairs are compared, so that the result is exact. If several columns have the same similarity as the last one,
    it is not defined which of them are returned.

    Args:
        similarities: Computes a block.
        rows, columns: Number of rows and of columns.
        most: Maximum number of columns for each row.
        progress: Called with rows done and rows to do.
    """
    most = min(most, columns)
    for start in range(0, rows, ROWS):
        some = slice(start, min(start + ROWS, rows))
        count = some.stop - some.start
        found, best = np.empty((count, most), np.intp), np.empty((count, most), np.float32)
        for left in range(0, columns, COLUMNS):
            block = similarities(some, slice(left, min(left + COLUMNS, columns)))
            for top in range(0, count, _SELECTED):
                part = slice(top, top + _SELECTED)
                if left == 0:
                    found[part], best[part] = _largest(block[part], most)
                else:
                    _improve(found[part], best[part], block[part], left)
            del block  # before the next one is computed
        yield Nearest(start, found, best)
        if progress:
            progress(some.stop, rows)


def _largest(block: NDArray[np.float32], most: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Columns of the largest values of each row, and these values, ``(rows, most)`` each."""
    if block.shape[1] > most:
        places = np.argpartition(-block, most, axis=1)[:, :most]
    else:
        places = np.tile(np.arange(most), (len(block), 1))
    return places, np.take_along_axis(block, places, 1)


def _improve(found: NDArray[np.intp], best: NDArray[np.float32], block: NDArray[np.float32], left: int) -> None:
    """Replaces the columns in ``found`` and their similarities in ``best`` by those of a block that are higher.

    Few rows have more than a few of them, so taking one maximum after the other is faster than a partition.

    Args:
        found, best: ``(rows, most)``.
        block: Similarities of the columns from ``left`` on, ``(rows, columns)``.
        left: Index of the first column of the block.
    """
    rows = np.flatnonzero(block.max(1) > best.min(1))
    some = block[rows]
    for _ in range(best.shape[1] if len(rows) else 0):
        places, worst = some.argmax(1), best[rows].argmin(1)
        values = some[np.arange(len(rows)), places]
        higher = values > best[rows, worst]
        found[rows[higher], worst[higher]] = places[higher] + left
        best[rows[higher], worst[higher]] = values[higher]
        some[np.arange(len(rows)), places] = -np.inf


def pairs_above(found: Iterator[Nearest], least: float, row_of: NDArray[np.intp], column_of: NDArray[np.intp]) -> Pairs:
    """The pairs of a row and one of its nearest columns that are similar enough.

    Args:
        found: The nearest columns.
        least: Minimum similarity.
        row_of, column_of: Index of the image in each row and column.

    Returns:
        Each pair once, the smaller index first, in ascending order.
    """
    parts = [np.empty((0, 2), np.intp)]
    for some in found:
        rows, places = np.nonzero(some.similarity >= least)
        parts.append(np.stack([row_of[rows + some.start], column_of[some.columns[rows, places]]], 1))
    return merged(np.concatenate(parts))


def merged(pairs: Pairs) -> Pairs:
    """Each pair once, the smaller index first, in ascending order."""
    return np.unique(np.sort(pairs, axis=1), axis=0)
