"""Information on files and contents in the index: hashes, refusals, and remarks on images that are used."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.data.cache.index import Index, chunks


@dataclass(frozen=True, slots=True)
class FileState:
    """The properties that show that a file is unchanged since it was read, as in git's index.

    The inode is that of the file modulo 2^64, as a signed integer, because SQLite stores no others. Mounted object
    stores have inodes beyond 2^63.
    """

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileState:
        return cls(stat.st_size, stat.st_mtime_ns, (stat.st_ino + 2**63) % 2**64 - 2**63)

    def settled(self, read_ns: int) -> bool:
        """Whether the file had not changed for two seconds when its reading began. Otherwise, another change at about
        the same time might not alter its state.

        Args:
            read_ns: The time when the reading began, in nanoseconds of ``time.time_ns``.
        """
        return self.mtime_ns < read_ns - 2 * 10**9


class Contents:
    """The tables ``files``, ``rejects`` and ``remarks``."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def files(self, paths: Sequence[str]) -> dict[str, tuple[FileState, str]]:
        """State and SHA-256 at the last reading of each path that is known."""
        found: dict[str, tuple[FileState, str]] = {}
        for chunk, marks in chunks(paths):
            query = f"SELECT path, size, mtime_ns, inode, sha256 FROM files WHERE path IN ({marks})"
            rows = self._index.connection.execute(query, [os.fsencode(path) for path in chunk])
            found |= {os.fsdecode(row[0]): (FileState(*row[1:4]), row[4]) for row in rows}
        return found

    def remember_files(self, files: Mapping[str, tuple[FileState, str]]) -> None:
        """Stores the state and SHA-256 of files that were settled when they were read.

        Files with a time before 1677 or after 2262 are left out, because SQLite cannot store it.
        """
        rows = [
            (os.fsencode(path), state.size, state.mtime_ns, state.inode, sha256)
            for path, (state, sha256) in files.items()
            if -(2**63) <= state.mtime_ns < 2**63
        ]
        self._index.write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def refusals(self, contents: Sequence[str], decoder: str) -> dict[str, str]:
        """The reason for the refusal of each content that this decoder refused before."""
        return self._read("SELECT sha256, reason FROM rejects", contents, decoder)

    def remember_refusals(self, reasons: Mapping[str, str], decoder: str) -> None:
        rows = [(sha256, decoder, reason) for sha256, reason in reasons.items()]
        self._index.write("INSERT OR REPLACE INTO rejects VALUES (?, ?, ?)", rows)

    def remarks(self, contents: Sequence[str], decoder: str) -> dict[str, str]:
        """The remark on each content that this decoder decoded with a remark."""
        return {sha256: remark for sha256, remark in self._remarked(contents, decoder).items() if remark}

    def decodable(self, contents: Sequence[str], decoder: str) -> set[str]:
        """The contents that this decoder is known to decode, with or without a remark."""
        return set(self._remarked(contents, decoder))

    def _remarked(self, contents: Sequence[str], decoder: str) -> dict[str, str]:
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
