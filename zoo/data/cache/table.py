"""Which content is in which row of which segment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from zoo.data.cache.folder import remove, segment_path
from zoo.data.cache.index import Index, chunks

#: A part of the keys of all features, but not of those of images.
FEATURES = "features-"


@dataclass(frozen=True)
class SegmentRow:
    """A row of the table ``segments``: name, size and checksum of a segment."""

    name: str
    size_bytes: int
    crc32: int


class SegmentTable:
    """The tables ``images`` and ``segments``."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def find(self, spec: str, contents: Sequence[str]) -> Iterator[tuple[str, SegmentRow, int]]:
        """Yields content, segment and row of each content that is entered for ``spec``."""
        for chunk, marks in chunks(contents):
            query = (
                "SELECT sha256, row, segment, bytes, crc32 FROM images JOIN segments ON name = segment"
                f" WHERE images.spec = ? AND sha256 IN ({marks})"
            )
            for sha256, row, *segment in self._index.connection.execute(query, [spec, *chunk]).fetchall():
                yield sha256, SegmentRow(*segment), row

    def enter(self, segment: SegmentRow, spec: str, contents: Sequence[str]) -> None:
        """Enters a segment with one row for each content."""
        with self._index.connection as connection:
            connection.execute(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)",
                (segment.name, spec, segment.size_bytes, len(contents), time.time(), segment.crc32),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)",
                [(spec, sha256, segment.name, row) for row, sha256 in enumerate(contents)],
            )

    def forget(self, name: str) -> int:
        """Drops a segment with its file, and returns the number of its rows that were in use."""
        with self._index.connection as connection:
            rows = connection.execute("DELETE FROM images WHERE segment = ?", (name,)).rowcount
            connection.execute("DELETE FROM segments WHERE name = ?", (name,))
        # Processes that have mapped the file can still read it. Its space is freed when the last one unmaps it.
        remove(segment_path(self._index.folder, name))
        return rows

    def used(self, names: Iterable[str]) -> None:
        """Marks segments as used now, so that others are evicted first."""
        self._index.write("UPDATE segments SET used_at = ? WHERE name = ?", [(time.time(), name) for name in names])

    def sizes(self) -> dict[str, int]:
        """Size of each segment by name, least recently used first."""
        return dict(self._index.connection.execute("SELECT name, bytes FROM segments ORDER BY used_at").fetchall())

    def feature_sizes(self) -> dict[str, int]:
        """Size of each segment of features by name, least recently used first."""
        query = "SELECT name, bytes FROM segments WHERE instr(spec, ?) ORDER BY used_at"
        return dict(self._index.connection.execute(query, (FEATURES,)).fetchall())

    def row_bytes(self, spec: str) -> int:
        """Size of one row stored for ``spec`` in bytes. 0 if nothing is stored."""
        query = "SELECT bytes / rows FROM segments WHERE spec = ? LIMIT 1"
        found = self._index.connection.execute(query, (spec,)).fetchone()
        return int(found[0]) if found else 0

    def image_count(self) -> int:
        """Number of arrays in all segments."""
        return int(self._index.connection.execute("SELECT COUNT(*) FROM images").fetchone()[0])
