"""Space in the cache: eviction, leftovers of killed processes, usage, and clearing."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.data.cache.folder import bound_bytes, images_folder, remove_segments, segment_path, size_bytes, unusable
from zoo.data.cache.table import SegmentTable
from zoo.data.database import empty_database
from zoo.data.segments import mapped_segments
from zoo.errors import DataError

#: Files that are younger than this may still be written, or are about to be entered into the index.
_YOUNG_S = 3600

#: Free space that is left on the disk.
_SPARE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class CacheUsage:
    """Usage of the cache: folder, bytes on disk, number of images, and the limit in bytes."""

    folder: Path
    size_bytes: int
    images: int
    bound_bytes: int


def find_room(folder: Path, table: SegmentTable, wanted_bytes: int, keep: Collection[str]) -> int:
    """Evicts the least recently used segments until ``wanted_bytes`` more fit, or until no more can be evicted.

    Args:
        folder: Folder of the cache.
        table: Its segments.
        wanted_bytes: Number of bytes to be written.
        keep: Names of segments that must not be removed.

    Returns:
        Number of bytes that fit, ``wanted_bytes`` at most. If not all fit, an eighth of the limit stays free for the
        features of the same images. Features that are there stay, up to half of the limit, because computing them again
        takes longer than decoding the images that would replace them.
    """
    in_limit, on_disk = _largest_room(folder, table, keep)
    granted = wanted_bytes
    if wanted_bytes > min(in_limit, on_disk):
        features = _recent(table.feature_sizes(), bound_bytes() // 2)
        keep = {*keep, *features}
        in_limit, on_disk = _largest_room(folder, table, keep)
        granted = max(0, min(in_limit - max(0, bound_bytes() // 8 - sum(features.values())), on_disk))
    sizes = table.sizes()
    over = sum(sizes.values()) + granted - bound_bytes()
    short = granted - _free_bytes(folder)
    mapped = mapped_segments()
    for name, size in sizes.items():
        if max(over, short) <= 0:
            break
        if name not in keep and (over > 0 or name not in mapped):
            table.forget(name)
            over -= size
            short -= size if name not in mapped else 0
    return granted


def _recent(sizes: Mapping[str, int], most_bytes: int) -> dict[str, int]:
    """The most recently used segments, of which the names are last, that have at most ``most_bytes`` together."""
    total = 0
    found = {}
    for name, size in reversed(list(sizes.items())):
        total += size
        if total > most_bytes:
            break
        found[name] = size
    return found


def make_room(folder: Path, table: SegmentTable, wanted_bytes: int, keep: Collection[str]) -> None:
    """Evicts the least recently used segments until ``wanted_bytes`` more fit. Arguments: see ``find_room``.

    Raises:
        DataError: The bytes do not fit below the limit or on the disk. In this case, nothing is evicted.
    """
    in_limit, on_disk = _largest_room(folder, table, keep)
    if wanted_bytes > in_limit:
        raise DataError(
            f"The cache needs {(bound_bytes() - in_limit + wanted_bytes) / 1e9:.2f} GB; its limit is"
            f" {bound_bytes() / 1e9:.2f} GB.",
            "Raise ZOO_CACHE_GB, or use a smaller image size.",
        )
    if wanted_bytes > on_disk:
        raise DataError(
            f"The cache needs {wanted_bytes / 1e9:.2f} GB in {folder}; {max(0, on_disk) / 1e9:.2f} GB are free.",
            "Free some space (`zoo cache --clear`), or set ZOO_CACHE_DIR to a larger disk.",
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    find_room(folder, table, wanted_bytes, keep)


def _largest_room(folder: Path, table: SegmentTable, keep: Collection[str]) -> tuple[int, int]:
    """Number of bytes that fit into the limit and on the disk if only the segments in ``keep`` remain.

    Segments that this process has mapped keep their space on the disk when they are removed.
    """
    _remove_leftovers(folder, table)
    sizes = table.sizes()
    kept = sum(size for name, size in sizes.items() if name in keep)
    mapped = mapped_segments()
    freed = sum(size for name, size in sizes.items() if name not in keep and name not in mapped)
    return bound_bytes() - kept, _free_bytes(folder) + freed


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free - _SPARE_BYTES


def usage(folder: Path, table: SegmentTable) -> CacheUsage:
    """Returns the usage of the cache."""
    size = sum(size_bytes(path) for path in folder.rglob("*") if path.is_file())
    return CacheUsage(folder, size, table.image_count(), bound_bytes())


def clear(folder: Path) -> None:
    """Removes everything that the cache created, and no other file in its folder.

    The databases are emptied instead of removed, because another process may be using them.
    """
    for path in (folder / "index.sqlite", folder / "audit.sqlite"):
        try:
            empty_database(path)
        except sqlite3.Error as error:
            raise unusable(folder, error) from error
    remove_segments(folder)
    for name in ("datasets", "given", "openimages", "arm64"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "precision.json").unlink(missing_ok=True)


def _remove_leftovers(folder: Path, table: SegmentTable) -> None:
    """Removes the leftovers of killed processes: temporary files, and segments that are not in the index."""
    indexed = {segment_path(folder, name) for name in table.sizes()}
    segments, temporaries = (images_folder(folder).glob(pattern) for pattern in ("*.u8", "*.tmp"))
    for path in (*temporaries, *segments):
        with contextlib.suppress(FileNotFoundError):  # another process has just renamed it
            if path not in indexed and time.time() - path.stat().st_mtime > _YOUNG_S:
                path.unlink()
