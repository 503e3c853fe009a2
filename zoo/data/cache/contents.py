"""What the index knows of files and of contents: hashes, refusals, and remarks on what is used."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.data.cache.index import Index, chunks


@dataclass(frozen=True)
class FileState:
    """What tells that a file is still the one that was read: as git's index does it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileState:
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ino)


class Contents:
    """The tables ``files``, ``rejects`` and ``remarks``."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def files(self, paths: Sequence[str]) -> dict[str, tuple[FileState, str]]:
        """Path to the state it had and the SHA-256 it then had, of those paths that are known."""
        found: dict[str, tuple[FileState, str]] = {}
        for chunk, marks in chunks(paths):
            query = f"SELECT path, size, mtime_ns, inode, sha256 FROM files WHERE path IN ({marks})"
            rows = self._index.connection.execute(query, [os.fsencode(path) for path in chunk])
            found |= {os.fsdecode(row[0]): (FileState(*row[1:4]), row[4]) for row in rows}
        return found

    def remember_files(self, files: Mapping[str, tuple[FileState, str]]) -> None:
        """Files changed in the last two seconds are left out: a second change could leave the same state behind."""
        settled_ns = time.time_ns() - 2 * 10**9
        rows = [
            (os.fsencode(path), state.size, state.mtime_ns, state.inode, sha256)
            for path, (state, sha256) in files.items()
            if state.mtime_ns < settled_ns
        ]
        self._index.write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def refusals(self, contents: Sequence[str], decoder: str) -> dict[str, str]:
        """Content to the reason it was refused for, of those this decoder refused before."""
        return self._read("SELECT sha256, reason FROM rejects", contents, decoder)

    def remember_refusals(self, reasons: Mapping[str, str], decoder: str) -> None:
        rows = [(sha256, decoder, reason) for sha256, reason in reasons.items()]
        self._index.write("INSERT OR REPLACE INTO rejects VALUES (?, ?, ?)", rows)

    def remarks(self, contents: Sequence[str], decoder: str) -> dict[str, str]:
        """Content to what is worth saying of it, of those contents that this decoder made pixels of."""
        return self._read("SELECT sha256, remark FROM remarks", contents, decoder)

    def remember_remarks(self, remarks: Mapping[str, str], decoder: str) -> None:
        rows = [(sha256, decoder, remark) for sha256, remark in remarks.items()]
        self._index.write("INSERT OR REPLACE INTO remarks VALUES (?, ?, ?)", rows)

    def _read(self, query: str, contents: Sequence[str], decoder: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for chunk, marks in chunks(contents):
            rows = self._index.connection.execute(
                f"{query} WHERE decoder = ? AND sha256 IN ({marks})", [decoder, *chunk]
            )
            found |= dict(rows.fetchall())
        return found
