"""``index.sqlite``: its tables, its version, and what to do when it is damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from zoo.data.cache.folder import remove_segments, unusable
from zoo.data.database import open_database, remove_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INT, mtime_ns INT, inode INT, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejects (
    sha256 TEXT, decoder TEXT, reason TEXT, PRIMARY KEY (sha256, decoder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS remarks (
    sha256 TEXT, decoder TEXT, remark TEXT, PRIMARY KEY (sha256, decoder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (
    spec TEXT, sha256 TEXT, segment TEXT, row INT, PRIMARY KEY (spec, sha256)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    name TEXT PRIMARY KEY, spec TEXT, bytes INT, rows INT, used_at REAL, crc32 INT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS images_by_segment ON images (segment);
"""

#: The ``user_version`` of the index. Segments before version 2 have no checksum. Before version 3, remarks were stored
#: with the refusals, under the name of a decoder with this suffix.
_FORMAT = 3
_FIRST_WITH_CHECKSUMS = 2
_REMARKS_SUFFIX = " remarks"

#: Maximum number of values in one query; SQLite supports at least 999.
_MOST_VALUES = 500


class Index:
    """A connection to the index of a cache folder, and its path for other threads.

    Raises:
        DataError: The index cannot be opened or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "index.sqlite"
        try:
            self.connection = self._open()
        except (OSError, sqlite3.Error) as error:
            raise unusable(folder, error) from error

    def close(self) -> None:
        self.connection.close()

    def write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Executes a statement for every row, in one transaction.

        Raises:
            DataError: The disk is full, or the index is damaged.
        """
        try:
            with self.connection:
                self.connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise unusable(self.folder, error) from error

    def _open(self) -> sqlite3.Connection:
        try:
            connection = open_database(self.path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            # This is not a database, or it is damaged. Because it is only a cache, it is created again.
            remove_segments(self.folder)
            remove_database(self.path)
            connection = open_database(self.path)
        if _format(connection) != _FORMAT:
            self._begin_format(connection)
        return connection

    def _begin_format(self, connection: sqlite3.Connection) -> None:
        """Creates the tables and drops segments without checksums. Information on files is kept."""
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            # Checked again, because another process may have done it in the meantime.
            before = _format(connection)
            if before == _FORMAT:
                return
            keeps_segments = _FIRST_WITH_CHECKSUMS <= before < _FORMAT
            if not keeps_segments:
                connection.execute("DROP TABLE IF EXISTS images")
                connection.execute("DROP TABLE IF EXISTS segments")
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            _move_remarks(connection)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            if not keeps_segments:
                remove_segments(self.folder)


def _format(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _move_remarks(connection: sqlite3.Connection) -> None:
    old = "substr(decoder, -length(?1)) = ?1"
    connection.execute(
        "INSERT OR REPLACE INTO remarks SELECT sha256, substr(decoder, 1, length(decoder) - length(?1)), reason"
        f" FROM rejects WHERE {old}",
        (_REMARKS_SUFFIX,),
    )
    connection.execute(f"DELETE FROM rejects WHERE {old}", (_REMARKS_SUFFIX,))


def chunks(values: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Yields parts of the values that fit into one query, each with its placeholders."""
    for start in range(0, len(values), _MOST_VALUES):
        chunk = values[start : start + _MOST_VALUES]
        yield chunk, ",".join("?" * len(chunk))
