"""Arrays of one shape by index, read from cache segments that are mapped into memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.segments import RELEASE_EVERY_BYTES, Segment

#: A segment, and the row in it.
Place = tuple[Segment, int]


class CachedArrays:
    """Access to the images of a dataset, or to their features, by index, without loading all of them.

    Args:
        places: Segment and row of each array.
        shape: Shape of each array, such as ``(height, width, 3)``.
        dtype: Data type of each array: ``uint8`` for images, ``float32`` for features.
    """

    def __init__(self, places: Sequence[Place], shape: tuple[int, ...], dtype: str = "uint8") -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._places = list(places)
        self._arrays = {segment: segment.arrays(self.dtype, shape) for segment in {segment for segment, _ in places}}
        self._read_bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._places)

    def only(self, indices: Sequence[int]) -> CachedArrays:
        """The arrays at ``indices``, in that order."""
        return CachedArrays([self._places[index] for index in indices], self.shape, self.dtype.name)

    def and_then(self, others: CachedArrays) -> CachedArrays:
        """These arrays, followed by others of the same shape."""
        return CachedArrays([*self._places, *others._places], self.shape, self.dtype.name)

    def read(self, indices: Sequence[int] | NDArray[np.intp]) -> NDArray[Any]:
        """Reads a copy of the arrays at ``indices``, ``(len(indices), *shape)``. Thread-safe."""
        batch = np.empty((len(indices), *self.shape), self.dtype)
        for position, index in enumerate(indices):
            segment, row = self._places[index]
            batch[position] = self._arrays[segment][row]
        self._release(batch.nbytes)
        return batch

    def _release(self, read_bytes: int) -> None:
        with self._lock:
            self._read_bytes += read_bytes
            due = self._read_bytes >= RELEASE_EVERY_BYTES
            if due:
                self._read_bytes = 0
        if due:
            for segment in self._arrays:
                segment.release()
