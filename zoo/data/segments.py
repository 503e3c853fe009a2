"""Segments: files of arrays of one size. They are mapped into memory, and their checksums are verified at that time.

The checksum is CRC-32, which the zlib of the standard library computes at 3 GB/s. It detects a damaged byte, sector or
page, and is much faster than decoding the same images.
"""

from __future__ import annotations

import errno
import mmap
import threading
import weakref
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

#: Number of bytes after which the pages of mapped segments are released; they stay in the file cache of the system.
RELEASE_EVERY_BYTES = 64 * 2**20


class DamagedSegmentError(Exception):
    """The bytes of a segment have changed since they were written."""


class Segment:
    """A mapped segment. The arrays stay readable when another process removes the file.

    Args:
        path: The file.
        size_bytes: Expected size.
        crc32: Expected checksum.

    Raises:
        FileNotFoundError: The file does not exist.
        DamagedSegmentError: The file has another size or checksum.
        DataError: The file cannot be read.
    """

    def __init__(self, path: Path, size_bytes: int, crc32: int) -> None:
        self.name = path.stem
        try:
            with path.open("rb") as file:
                self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise
        except ValueError as error:  # an empty file cannot be mapped
            raise DamagedSegmentError(path.name) from error
        except OSError as error:
            raise DataError(
                f"The cache segment {path} cannot be read: {error.strerror or error}.",
                "Allow more open files (ulimit -n), or lower ZOO_CACHE_GB: every 64 MB of the cache need one."
                if error.errno == errno.EMFILE
                else "Make it readable, or set ZOO_CACHE_DIR to another folder.",
            ) from error
        if len(self._mapped) != size_bytes or self._checksum() != crc32:
            raise DamagedSegmentError(path.name)

    def arrays(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """All arrays of the segment, ``(rows, *shape)``, without a copy."""
        return np.frombuffer(self._mapped, dtype).reshape(-1, *shape)

    def release(self) -> None:
        """Releases the pages that were read, so that memory use stays constant."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def _checksum(self) -> int:
        crc32 = 0
        with memoryview(self._mapped) as view:
            for start in range(0, len(view), RELEASE_EVERY_BYTES):
                with view[start : start + RELEASE_EVERY_BYTES] as part:
                    crc32 = zlib.crc32(part, crc32)
                self.release()
        return crc32


def _allow_many_files() -> None:
    """Raises the limit of open files of this process if mapped segments use half of it, because each needs a file."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and len(_MAPPED) >= limit // 2:
        raised = 2 * limit if most == resource.RLIM_INFINITY else min(2 * limit, most)
        with suppress(ValueError, OSError):  # macOS allows fewer than it states
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, most))


#: Segments that this process has mapped. Each is mapped and checked once, even if several datasets share it.
_MAPPED: weakref.WeakValueDictionary[tuple[str, int], Segment] = weakref.WeakValueDictionary()
_LOCK = threading.Lock()


def mapped_segments() -> set[str]:
    """Names of the segments that this process has mapped. Their space is not freed when their files are removed."""
    with _LOCK:
        return {segment.name for segment in _MAPPED.values()}


def map_segment(path: Path, size_bytes: int, crc32: int) -> Segment:
    """Maps the segment in a file. Arguments and errors are those of ``Segment``."""
    with _LOCK:
        segment = _MAPPED.get((str(path), crc32))
        if segment is None:
            _allow_many_files()
            segment = _MAPPED[str(path), crc32] = Segment(path, size_bytes, crc32)
        return segment
