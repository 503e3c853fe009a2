"""Reads arrays of one shape by index: from cache segments that are mapped into memory, or from files, by decoding."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.segments import RELEASE_EVERY_BYTES, Segment
from zoo.errors import DataError
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, read_file, resize
from zoo.images.listen import Listener, listening
from zoo.machine import core_count

#: A segment and a row in it.
Row = tuple[Segment, int]


@dataclass(frozen=True, slots=True)
class OnFile:
    """An image for which the cache has no room. Its file is decoded whenever the image is read.

    Args:
        path: Path of the file.
        sha256: SHA-256 that its content must have.
        spec: The preprocessing.
    """

    path: str
    sha256: str
    spec: ImageSpec

    def pixels(self, listener: Listener) -> NDArray[np.uint8]:
        """Decodes the file, uint8 ``(height, width, 3)``. Remarks on it were reported when it was first read.

        Raises:
            DataError: The file was removed or changed.
        """
        try:
            data = read_file(self.path)
            if hashlib.sha256(data).hexdigest() == self.sha256:
                return resize(listener.decode(data)[0], self.spec)
        except (OSError, ImageError) as error:
            reason = error.reason if isinstance(error, ImageError) else error.strerror or str(error)
            raise DataError(f"'{self.path}' can no longer be read: {reason}.", _RESTORE) from error
        raise DataError(f"'{self.path}' was changed while it was in use.", _RESTORE)


_RESTORE = "Restore the file, or start again with the remaining images."

#: Location of an array.
Place = Row | OnFile


class CachedArrays:
    """Access to the images of a dataset, or to their features, by index, without loading all of them.

    Args:
        places: Segment and row of each array, or its file.
        shape: Shape of each array, such as ``(height, width, 3)``.
        dtype: Data type of each array: ``uint8`` for images, ``float32`` for features.
    """

    def __init__(self, places: Sequence[Place], shape: tuple[int, ...], dtype: str = "uint8") -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._places = list(places)
        segments = {place[0] for place in places if not isinstance(place, OnFile)}
        self._arrays = {segment: segment.arrays(self.dtype, shape) for segment in segments}
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
        """Reads a copy of the arrays at ``indices``, ``(len(indices), *shape)``. Thread-safe.

        Raises:
            DataError: A file that must be decoded was removed or changed.
        """
        batch = np.empty((len(indices), *self.shape), self.dtype)
        on_file: dict[int, OnFile] = {}
        for position, index in enumerate(indices):
            place = self._places[index]
            if isinstance(place, OnFile):
                on_file[position] = place
            else:
                segment, row = place
                batch[position] = self._arrays[segment][row]
        if on_file:
            with listening() as listener:
                decoded = _decoders().map(lambda place: place.pixels(listener), on_file.values())
                for position, pixels in zip(on_file, decoded, strict=True):
                    batch[position] = pixels
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


@cache
def _decoders() -> ThreadPoolExecutor:
    """Threads that decode files. All callers share them, which limits the number of full-size photos in memory."""
    return ThreadPoolExecutor(min(8, core_count()), "zoo-decode")
