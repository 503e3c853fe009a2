"""Arrays of one shape by index, read from cache segments that are mapped into memory."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

#: Mapped pages are given back to the system after this many bytes read; they stay in its file cache, at no cost to us.
_RELEASE_EVERY_BYTES = 64 * 2**20


class CachedArrays:
    """The images of a data set, or their features, by index, without holding them.

    Args:
        places: ``(segment file, row)`` of each array.
        shape: Of every array, such as ``(height, width, 3)``.
        dtype: Of every array: ``uint8`` for images, ``float32`` for features.
    """

    def __init__(self, places: Sequence[tuple[Path, int]], shape: tuple[int, ...], dtype: str = "uint8") -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._places = [(str(path), row) for path, row in places]
        self._maps = {path: _open(path) for path in {path for path, _ in self._places}}
        self._rows = {
            path: np.frombuffer(opened, self.dtype).reshape(-1, *shape) for path, opened in self._maps.items()
        }
        self._read_bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def read(self, indices: Sequence[int] | NDArray[np.intp]) -> NDArray[Any]:
        """A copy of the arrays at ``indices``, ``(len(indices), *shape)``. Safe in threads."""
        batch = np.empty((len(indices), *self.shape), self.dtype)
        for position, index in enumerate(indices):
            path, row = self._places[index]
            batch[position] = self._rows[path][row]
        self._release(batch.nbytes)
        return batch

    def _release(self, read_bytes: int) -> None:
        with self._lock:
            self._read_bytes += read_bytes
            due = self._read_bytes >= _RELEASE_EVERY_BYTES
            if due:
                self._read_bytes = 0
        if due and hasattr(mmap, "MADV_DONTNEED"):
            for opened in self._maps.values():
                opened.madvise(mmap.MADV_DONTNEED)


def _open(path: str) -> mmap.mmap:
    try:
        with Path(path).open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise DataError(f"The cache segment {path} cannot be read: {error}.", "Run again: it is made anew.") from error
