"""Array files from untrusted sources. Their declared sizes are checked before any data is read.

A few bytes can declare any number of gigabytes: in the header of an array, by compression, or by an HDF5 dataset
without stored data. Therefore a file that declares many times its own size is refused, and the name, shape and type of
each array in an ``.npz`` file can be checked before its data is read.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

#: Every file may declare ``_ALWAYS_BYTES``, and in addition ``_MOST_PER_BYTE`` bytes for each of its own bytes. Weights
#: hardly compress, except for those that are mostly zero, which compress about tenfold.
_MOST_PER_BYTE = 20
_ALWAYS_BYTES = 64 * 2**20

#: Errors that zipfile raises for a file that is not an archive, is damaged, or uses an unknown compression.
DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError)


@dataclass(frozen=True)
class Declared:
    """An array as its header describes it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class ArrayFile:
    """An open ``.npz``; see ``open_arrays``."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {
            member.filename.removesuffix(".npy"): member
            for member in archive.infolist()
            if member.filename.endswith(".npy")
        }

    @property
    def names(self) -> list[str]:
        """Names of all arrays, in the order of the file."""
        return list(self._members)

    def declared(self, name: str) -> Declared:
        """Shape and type of an array, as its header declares them.

        Raises ``KeyError`` if it does not exist, ``ValueError`` if its header cannot be used or does not match the size
        of its data.
        """
        member = self._members[name]
        with self._archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            elif version == (2, 0):
                shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            else:
                raise ValueError(f"'{name}' is stored in version {version} of the NumPy format; known: 1.0 and 2.0")
            header_bytes = file.tell()
        if dtype.hasobject:
            raise ValueError(f"'{name}' contains Python objects")
        declared_bytes = math.prod(shape) * dtype.itemsize
        if header_bytes + declared_bytes != member.file_size:
            raise ValueError(
                f"'{name}' declares {declared_bytes} bytes, but the file contains {member.file_size - header_bytes}"
            )
        return Declared(shape, dtype)

    def read(self, name: str) -> np.ndarray[Any, np.dtype[Any]]:
        """Reads an array. Raises the errors of ``declared``, or those of zipfile and zlib if the data is damaged."""
        self.declared(name)
        with self._archive.open(self._members[name]) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


@contextmanager
def open_arrays(file: IO[bytes]) -> Iterator[ArrayFile]:
    """Opens the arrays of an ``.npz`` file without reading them.

    Raises:
        ValueError: The file declares many times its own size. For a file that is not an intact archive, one of the
            errors in ``DAMAGED`` is raised.
    """
    with zipfile.ZipFile(file) as archive:
        _refuse_inflated(sum(member.file_size for member in archive.infolist()), _size_bytes(file))
        yield ArrayFile(archive)


def check_keras_file(path: Path) -> None:
    """Refuses a ``.keras`` file that declares many times its own size. Other damage is detected by Keras.

    Raises:
        ValueError: The archive or the weights in it declare too much data.
    """
    with path.open("rb") as file:
        size_bytes = _size_bytes(file)
        try:
            with zipfile.ZipFile(file) as archive:
                _refuse_inflated(sum(member.file_size for member in archive.infolist()), size_bytes)
                weights = [archive.read(name) for name in archive.namelist() if name.endswith(".h5")]
        except DAMAGED:
            return
    for data in weights:
        _refuse_inflated(_hdf5_bytes(data), size_bytes)


def _hdf5_bytes(data: bytes) -> int:
    """Total size declared by the datasets of an HDF5 file."""
    import h5py

    total = 0

    def add(name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += math.prod(item.shape or ()) * item.id.get_type().get_size()

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            file.visititems(add)
    except (OSError, RuntimeError, KeyError):
        return 0
    return total


def _refuse_inflated(declared_bytes: int, size_bytes: int) -> None:
    if declared_bytes > _ALWAYS_BYTES + _MOST_PER_BYTE * size_bytes:
        raise ValueError(f"its {size_bytes / 1e6:.1f} MB declare {declared_bytes / 1e9:.1f} GB of data")


def _size_bytes(file: IO[bytes]) -> int:
    place = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(place)
    return size
