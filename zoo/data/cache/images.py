"""The cache of arrays by content. Missing arrays are computed, existing ones are mapped."""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import Row
from zoo.data.cache import room
from zoo.data.cache.contents import Contents
from zoo.data.cache.folder import cache_folder, images_folder, segment_path, size_bytes, unusable
from zoo.data.cache.index import Index
from zoo.data.cache.table import SegmentRow, SegmentTable
from zoo.data.segments import DamagedSegmentError, Segment, map_segment
from zoo.errors import DataError

SEGMENT_BYTES = 64 * 2**20

#: Maximum number of times that an image is decoded if it disappears from the cache. After that, an error is raised. The
#: second time is normally sufficient, because written segments are mapped at once, unless the cache is cleared at that
#: moment.
ATTEMPTS = 3


class ImageCache:
    """The index and the segments of one cache folder.

    Args:
        folder: Folder of the cache. The default is ``cache_folder()``.

    Raises:
        DataError: The folder cannot be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()
        #: Number of cached arrays in segments that were found to be damaged, by their key.
        self.damaged: dict[str, int] = {}
        self._local = threading.local()
        try:
            images_folder(self.folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(self.folder, error) from error
        self._index = Index(self.folder)
        #: Known files and contents.
        self.contents = Contents(self._index)
        self._table = SegmentTable(self._index)

    def close(self) -> None:
        self._index.close()

    def knows(self, spec: str, decoder: str, sha256: str, *, remarks: bool = False) -> bool:
        """Whether an image file has been decoded for ``spec`` or refused by ``decoder``. Thread-safe.

        Args:
            spec, decoder: Keys.
            sha256: Content of the file.
            remarks: Whether a remark of ``decoder`` is enough, which shows that it can decode the file.
        """
        if not hasattr(self._local, "index"):
            self._local.index = sqlite3.connect(self._index.path, timeout=60)
        index = self._local.index
        query = (
            "SELECT segments.name, segments.bytes FROM images JOIN segments ON segments.name = images.segment"
            " WHERE images.spec = ? AND images.sha256 = ?"
        )
        place = index.execute(query, (spec, sha256)).fetchone()
        if place:
            return bool(size_bytes(segment_path(self.folder, place[0])) == place[1])
        return any(
            index.execute(f"SELECT 1 FROM {table} WHERE sha256 = ? AND decoder = ?", (sha256, decoder)).fetchone()
            for table in ("rejects", *(("remarks",) if remarks else ()))
        )

    def rows(self, spec: str, contents: Sequence[str], row_bytes: int) -> dict[str, Row]:
        """Segment and row of each content that is cached for ``spec``.

        The segments are mapped, so that no other process can remove them, and their checksums are verified. A damaged
        segment is dropped and counted in ``damaged``.
        """
        found: dict[str, tuple[str, int]] = {}
        segments: dict[str, SegmentRow] = {}
        for sha256, segment, row in self._table.find(spec, contents):
            if (row + 1) * row_bytes <= segment.size_bytes:
                found[sha256] = segment.name, row
                segments[segment.name] = segment
        mapped = {name: made for name, segment in segments.items() if (made := self._map(segment, spec))}
        self._table.used(mapped)
        return {sha256: (mapped[name], row) for sha256, (name, row) in found.items() if name in mapped}

    def row_bytes(self, spec: str) -> int:
        """Size of one row stored for ``spec`` in bytes. 0 if nothing is stored."""
        return self._table.row_bytes(spec)

    def filled(
        self,
        spec: str,
        contents: Sequence[str],
        row_bytes: int,
        make: Callable[[Sequence[str]], Iterable[tuple[str, NDArray[Any]]]],
    ) -> dict[str, Row]:
        """Segment and row of the array of each content. Missing arrays are computed and written.

        Args:
            spec, contents, row_bytes: As for ``rows``.
            make: Computes the arrays of given contents.

        Raises:
            DataError: The cache cannot be written, is too small, or loses what is written.
        """
        places: dict[str, Row] = {}
        for _ in range(ATTEMPTS):
            wanted = list(dict.fromkeys(sha256 for sha256 in contents if sha256 not in places))
            places |= self.rows(spec, wanted, row_bytes)
            missing = [sha256 for sha256 in wanted if sha256 not in places]
            if not missing:
                return places
            self.make_room(len(missing) * row_bytes, keep=places.values())
            places |= self.write_images(spec, make(missing), row_bytes)
        if any(sha256 not in places for sha256 in contents):
            raise self.unkept()
        return places

    def unkept(self) -> DataError:
        """The error for arrays that were written ``ATTEMPTS`` times and were missing or damaged every time."""
        return DataError(
            f"The image cache in {self.folder} loses the data that is written to it.",
            "Another process may be clearing it, or the disk may be damaged. Set ZOO_CACHE_DIR to another folder.",
        )

    def write_images(self, spec: str, images: Iterable[tuple[str, NDArray[Any]]], image_bytes: int) -> dict[str, Row]:
        """Appends images, or features of images, in segments. After an interruption, complete segments are kept.

        Args:
            spec: Key of everything that determines the arrays, except the content: ImageSpec and decoder, backbone and
                view.
            images: ``(sha256, pixels)``, each of ``image_bytes`` bytes.
            image_bytes: Bytes of one image.

        Returns:
            Segment and row of each array. The segments are mapped, so that no other process can remove them.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        rows_each = max(1, SEGMENT_BYTES // image_bytes)
        source = iter(images)
        places: dict[str, Row] = {}
        while True:
            name = uuid.uuid4().hex
            aside = images_folder(self.folder) / f"{name}.{os.getpid()}.tmp"
            contents: list[str] = []
            sums: list[int] = [0]  # checksums of the first 0, 1, 2, ... images
            try:
                try:
                    aside.parent.mkdir(parents=True, exist_ok=True)
                    with aside.open("wb") as file:
                        for sha256, pixels in source:
                            data = np.ascontiguousarray(pixels).data.cast("B")
                            file.write(data)
                            sums.append(zlib.crc32(data, sums[-1]))
                            contents.append(sha256)  # last, because Ctrl-C between the two must leave enough sums
                            if len(contents) == rows_each:
                                break
                finally:
                    if contents:
                        places |= self._adopt(aside, name, spec, contents, sums, image_bytes)
            except (OSError, sqlite3.Error) as error:
                raise unusable(self.folder, error) from error
            finally:
                aside.unlink(missing_ok=True)
            if len(contents) < rows_each:
                return places

    def make_room(self, wanted_bytes: int, keep: Iterable[Row]) -> None:
        """Evicts the least recently used segments until ``wanted_bytes`` more fit below the limit.

        Args:
            wanted_bytes: Number of bytes to be written.
            keep: Segments that the caller uses. Other processes keep the segments that they have mapped.

        Raises:
            DataError: The bytes do not fit below the limit or on the disk.
        """
        room.make_room(self.folder, self._table, wanted_bytes, {segment.name for segment, _ in keep})

    def find_room(self, wanted_bytes: int, keep: Iterable[Row]) -> int:
        """Like ``make_room``, but without an error. Returns the number of bytes that fit."""
        return room.find_room(self.folder, self._table, wanted_bytes, {segment.name for segment, _ in keep})

    def usage(self) -> room.CacheUsage:
        return room.usage(self.folder, self._table)

    def clear(self) -> None:
        """Closes the cache and removes everything that it created."""
        self.close()
        room.clear(self.folder)

    def _map(self, segment: SegmentRow, spec: str) -> Segment | None:
        """Maps a segment. If it is missing or damaged, its rows are dropped and ``None`` is returned."""
        try:
            return map_segment(segment_path(self.folder, segment.name), segment.size_bytes, segment.crc32)
        except FileNotFoundError:
            self._table.forget(segment.name)
        except DamagedSegmentError:
            self.damaged[spec] = self.damaged.get(spec, 0) + self._table.forget(segment.name)
        return None

    def _adopt(
        self, aside: Path, name: str, spec: str, contents: list[str], sums: list[int], image_bytes: int
    ) -> dict[str, Row]:
        """Renames a complete segment and enters its rows. Rows that were not written to disk are left out."""
        whole = min(len(contents), size_bytes(aside) // image_bytes)
        if whole <= 0:
            return {}
        row = SegmentRow(name, whole * image_bytes, sums[whole])
        try:
            with aside.open("r+b") as file:
                file.truncate(row.size_bytes)
                os.fsync(file.fileno())
            aside.rename(segment_path(self.folder, name))
        except FileNotFoundError:  # another process has just cleared the cache
            return {}
        # Mapped before other processes know the segment, because from then on they can evict it.
        segment = self._map(row, spec)
        if segment is None:
            return {}
        self._table.enter(row, spec, contents[:whole])
        return {sha256: (segment, place) for place, sha256 in enumerate(contents[:whole])}


def damage_note(count: int, what: str = "images") -> str:
    """A note for the user on damaged cached arrays."""
    return f"{count} of the cached {what} were damaged on disk. They were removed and computed again."
