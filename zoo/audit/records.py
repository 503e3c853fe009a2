"""Stored results for file contents and pairs of contents, for use in later runs.

Everything here depends only on contents, so it is valid wherever the files are. It can be deleted at any time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from zoo.data.cache import cache_folder
from zoo.data.database import open_database, remove_database
from zoo.errors import DataError

_SCHEMA = "CREATE TABLE IF NOT EXISTS records (kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key)) WITHOUT ROWID"


class Records:
    """Text by kind and key, in one file of the cache folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = (folder or cache_folder()) / "audit.sqlite"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._database = _open(self._path)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:  # damaged; because it is only a cache, it is created again
                remove_database(self._path)
                self._database = _open(self._path)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def read(self, kind: str, keys: Iterable[str]) -> dict[str, str]:
        """The values of the keys that are known."""
        found: dict[str, str] = {}
        for chunk in _chunks(list(keys)):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT key, value FROM records WHERE kind = ? AND key IN ({marks})"
            try:
                found.update(self._database.execute(query, [kind, *chunk]).fetchall())
            except sqlite3.Error as error:
                raise self._unusable(error) from error
        return found

    def write(self, kind: str, values: Mapping[str, str]) -> None:
        rows = [(kind, key, value) for key, value in values.items()]
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None) or error
        return DataError(f"Could not use the cache {self._path}: {reason}.", "Set ZOO_CACHE_DIR to another folder.")


def _open(path: Path) -> sqlite3.Connection:
    connection = open_database(path)
    try:
        connection.execute(_SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), 500):
        yield values[start : start + 500]
