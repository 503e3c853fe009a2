"""Decoded images on disk, so that the second run starts at once and memory stays flat however large the data is.

    <cache>/index.sqlite            which file has which content, which content is in which row, what was refused
    <cache>/images/<segment>.u8     uint8 pixels of up to 64 MB of images of one ImageSpec, mapped into memory
    <cache>/datasets/<name>-<v>/    named data sets, written out once
    <cache>/audit.sqlite            what `zoo data check` found out about contents and pairs of them
    <cache>/openimages/             the files that describe Open Images, of `zoo data fetch`
    <cache>/precision.json          which precision trains faster on this machine

A segment is written aside, renamed when whole, and only then entered in the index with its checksum; it never changes
afterwards. Two processes may decode the same image at the same time: both segments are right, one row is used.
Everything here can be deleted at any time: whoever looks something up gets it mapped, and keeps it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import Place
from zoo.data.database import empty_database, open_database, remove_database
from zoo.data.segments import DamagedSegmentError, Segment, map_segment
from zoo.errors import DataError, UsageError

SEGMENT_BYTES = 64 * 2**20
DEFAULT_BOUND_GB = 20.0

#: Times that an image is decoded, if the cache loses it, before this is an error. The second time must do, as what is
#: written is mapped at once; unless somebody clears the cache in that moment.
ATTEMPTS = 3

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INT, mtime_ns INT, inode INT, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rejects (
    sha256 TEXT, decoder TEXT, reason TEXT, PRIMARY KEY (sha256, decoder)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (
    spec TEXT, sha256 TEXT, segment TEXT, row INT, PRIMARY KEY (spec, sha256)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    name TEXT PRIMARY KEY, spec TEXT, bytes INT, rows INT, used_at REAL, crc32 INT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS images_by_segment ON images (segment);
"""

#: The ``user_version`` of the index. Segments of another version, such as those before checksums, are dropped.
_FORMAT = 2


@dataclass(frozen=True)
class FileState:
    """What tells that a file is still the one that was read: as git's index does it."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, stat: os.stat_result) -> FileState:
        return cls(stat.st_size, stat.st_mtime_ns, stat.st_ino)


@dataclass(frozen=True)
class CacheUsage:
    """What the cache holds: folder, bytes on disk, images, and the bound in bytes."""

    folder: Path
    size_bytes: int
    images: int
    bound_bytes: int


def cache_folder() -> Path:
    """``ZOO_CACHE_DIR``, else ``zoo`` in the user's cache folder (``XDG_CACHE_HOME``, ``~/.cache``)."""
    chosen = os.environ.get("ZOO_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"


def bound_bytes() -> int:
    """Most bytes the cache may hold: ``ZOO_CACHE_GB`` (default 20)."""
    text = os.environ.get("ZOO_CACHE_GB", "")
    try:
        bound = float(text or DEFAULT_BOUND_GB)
        if not bound > 0:
            raise ValueError
    except ValueError:
        raise UsageError(f"ZOO_CACHE_GB must be a number of gigabytes above 0. Received: {text!r}.") from None
    return int(bound * 1e9)


class ImageCache:
    """The index and the segments of one cache folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()
        #: Cached arrays of segments that were found damaged, by the key that they were kept under.
        self.damaged: dict[str, int] = {}
        self._local = threading.local()
        try:
            (self.folder / "images").mkdir(parents=True, exist_ok=True)
            self._index = self._open_index()
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def _open_index(self) -> sqlite3.Connection:
        path = self.folder / "index.sqlite"
        try:
            connection = open_database(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            # Not a database, or a damaged one. It is only a cache: begin a new one.
            self._remove_segments()
            remove_database(path)
            connection = open_database(path)
        if connection.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
            self._begin_format(connection)
        return connection

    def _begin_format(self, connection: sqlite3.Connection) -> None:
        """Makes the tables; drops segments of another format. What is known of files stays."""
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            # Once more: another process may have done it while this one waited.
            if connection.execute("PRAGMA user_version").fetchone()[0] == _FORMAT:
                return
            connection.execute("DROP TABLE IF EXISTS images")
            connection.execute("DROP TABLE IF EXISTS segments")
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            self._remove_segments()

    def _unusable(self, error: Exception) -> DataError:
        reason = getattr(error, "strerror", None) or error
        return DataError(
            f"Could not use the image cache in {self.folder}: {reason}.", "Set ZOO_CACHE_DIR to another folder."
        )

    def close(self) -> None:
        self._index.close()

    # -- files -----------------------------------------------------------------------------------------------------

    def known_files(self, paths: Sequence[str]) -> dict[str, tuple[FileState, str]]:
        """Path to the state it had and the SHA-256 it then had, of those paths that are known."""
        found: dict[str, tuple[FileState, str]] = {}
        for chunk in _chunks(paths):
            query = f"SELECT path, size, mtime_ns, inode, sha256 FROM files WHERE path IN ({_marks(chunk)})"
            rows = self._index.execute(query, [_key(path) for path in chunk])
            found |= {_path(row[0]): (FileState(*row[1:4]), row[4]) for row in rows}
        return found

    def remember_files(self, files: Mapping[str, tuple[FileState, str]]) -> None:
        """Files changed in the last two seconds are left out: a second change could leave the same state behind."""
        settled_ns = time.time_ns() - 2 * 10**9
        rows = [
            (_key(path), state.size, state.mtime_ns, state.inode, sha256)
            for path, (state, sha256) in files.items()
            if state.mtime_ns < settled_ns
        ]
        self._write("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)

    def rejected(self, contents: Sequence[str], decoder: str) -> dict[str, str]:
        """Content to the reason it was refused for, of those this decoder refused before."""
        found: dict[str, str] = {}
        for chunk in _chunks(contents):
            query = f"SELECT sha256, reason FROM rejects WHERE decoder = ? AND sha256 IN ({_marks(chunk)})"
            found |= dict(self._index.execute(query, [decoder, *chunk]).fetchall())
        return found

    def remember_rejected(self, reasons: Mapping[str, str], decoder: str) -> None:
        self._write("INSERT OR REPLACE INTO rejects VALUES (?, ?, ?)", [(s, decoder, r) for s, r in reasons.items()])

    def remarks(self, contents: Sequence[str], decoder: str) -> dict[str, str]:
        """Content to what this decoder remarked on it."""
        return self.rejected(contents, f"{decoder} remarks")

    def remember_remarks(self, remarks: Mapping[str, str], decoder: str) -> None:
        self.remember_rejected(remarks, f"{decoder} remarks")

    def knows(self, spec: str, decoder: str, sha256: str) -> bool:
        """Whether a content is decoded for ``spec`` or was refused by ``decoder``. May be called from any thread."""
        if not hasattr(self._local, "index"):
            self._local.index = sqlite3.connect(self.folder / "index.sqlite", timeout=60)
        index = self._local.index
        query = (
            "SELECT segments.name, segments.bytes FROM images JOIN segments ON segments.name = images.segment"
            " WHERE images.spec = ? AND images.sha256 = ?"
        )
        place = index.execute(query, (spec, sha256)).fetchone()
        if place:
            return bool(_size(self.segment_path(place[0])) == place[1])
        refused = "SELECT 1 FROM rejects WHERE sha256 = ? AND decoder = ?"
        return index.execute(refused, (sha256, decoder)).fetchone() is not None

    # -- images ----------------------------------------------------------------------------------------------------

    def rows(self, spec: str, contents: Sequence[str], row_bytes: int) -> dict[str, Place]:
        """Content to where its array is, of those contents that are cached for ``spec``.

        The segments are mapped, so that no other process can take them away, and checked. A damaged one is dropped,
        and counted in ``damaged``.
        """
        found: dict[str, tuple[str, int]] = {}
        sums: dict[str, tuple[int, int]] = {}
        for chunk in _chunks(contents):
            query = (
                "SELECT sha256, segment, row, bytes, crc32 FROM images JOIN segments ON name = segment"
                f" WHERE images.spec = ? AND sha256 IN ({_marks(chunk)})"
            )
            for sha256, name, row, size_bytes, crc32 in self._index.execute(query, [spec, *chunk]):
                if (row + 1) * row_bytes <= size_bytes:
                    found[sha256] = name, row
                    sums[name] = size_bytes, crc32
        mapped = {name: segment for name, sum_ in sums.items() if (segment := self._map(name, *sum_, spec))}
        self._write("UPDATE segments SET used_at = ? WHERE name = ?", [(time.time(), name) for name in mapped])
        return {sha256: (mapped[name], row) for sha256, (name, row) in found.items() if name in mapped}

    def _map(self, name: str, size_bytes: int, crc32: int, spec: str) -> Segment | None:
        """A segment; ``None``, and its rows forgotten, where it is gone or damaged."""
        try:
            return map_segment(self.segment_path(name), size_bytes, crc32)
        except FileNotFoundError:
            self._forget_segment(name)
        except DamagedSegmentError:
            self.damaged[spec] = self.damaged.get(spec, 0) + self._forget_segment(name)
        return None

    def row_bytes(self, spec: str) -> int:
        """Bytes of one row of what is kept under ``spec``; 0 where nothing is."""
        query = "SELECT bytes / rows FROM segments WHERE spec = ? LIMIT 1"
        found = self._index.execute(query, (spec,)).fetchone()
        return int(found[0]) if found else 0

    def filled(
        self,
        spec: str,
        contents: Sequence[str],
        row_bytes: int,
        make: Callable[[Sequence[str]], Iterable[tuple[str, NDArray[Any]]]],
    ) -> dict[str, Place]:
        """Content to where its array is, of all of them; what the cache does not have is made and written.

        Args:
            spec, contents, row_bytes: As for ``rows``.
            make: Makes the arrays of some contents.

        Raises:
            DataError: The cache cannot be written, is too small, or does not keep what is written.
        """
        places: dict[str, Place] = {}
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
        """The error for arrays that were written ``ATTEMPTS`` times and were gone or damaged every time."""
        return DataError(
            f"The image cache in {self.folder} does not keep what is written to it.",
            "Another process may be clearing it, or the disk may be damaged. Set ZOO_CACHE_DIR to another folder.",
        )

    def write_images(self, spec: str, images: Iterable[tuple[str, NDArray[Any]]], image_bytes: int) -> dict[str, Place]:
        """Appends images, or features of images, in segments; what came before an interruption is kept.

        Args:
            spec: Key of all that made them but the content: ImageSpec and decoder, backbone and view.
            images: ``(sha256, pixels)``, each of ``image_bytes`` bytes.
            image_bytes: Bytes of one image.

        Returns:
            Where each is. They are mapped, so that no other process can take them away.

        Raises:
            DataError: The disk is full or the folder cannot be written.
        """
        rows_each = max(1, SEGMENT_BYTES // image_bytes)
        source = iter(images)
        places: dict[str, Place] = {}
        while True:
            name = uuid.uuid4().hex
            aside = self.folder / "images" / f"{name}.{os.getpid()}.tmp"
            contents: list[str] = []
            sums: list[int] = [0]  # of the first so many images
            try:
                try:
                    aside.parent.mkdir(parents=True, exist_ok=True)
                    with aside.open("wb") as file:
                        for sha256, pixels in source:
                            data = np.ascontiguousarray(pixels).data.cast("B")
                            file.write(data)
                            contents.append(sha256)
                            sums.append(zlib.crc32(data, sums[-1]))
                            if len(contents) == rows_each:
                                break
                finally:
                    if contents:
                        places |= self._adopt(aside, name, spec, contents, sums, image_bytes)
            except (OSError, sqlite3.Error) as error:
                raise self._unusable(error) from error
            finally:
                aside.unlink(missing_ok=True)
            if len(contents) < rows_each:
                return places

    def _adopt(
        self, aside: Path, name: str, spec: str, contents: list[str], sums: list[int], image_bytes: int
    ) -> dict[str, Place]:
        """Gives a written segment its name and enters its rows; rows that did not reach the disk are left out."""
        whole = min(len(contents), _size(aside) // image_bytes)
        if whole <= 0:
            return {}
        size_bytes, crc32 = whole * image_bytes, sums[whole]
        try:
            with aside.open("r+b") as file:
                file.truncate(size_bytes)
                os.fsync(file.fileno())
            aside.rename(self.segment_path(name))
        except FileNotFoundError:  # another process has just cleared the cache
            return {}
        # Mapped before others hear of it: from now on it can be evicted.
        segment = self._map(name, size_bytes, crc32, spec)
        if segment is None:
            return {}
        with self._index:
            self._index.execute(
                "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?)", (name, spec, size_bytes, whole, time.time(), crc32)
            )
            self._index.executemany(
                "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?)",
                [(spec, sha256, name, row) for row, sha256 in enumerate(contents[:whole])],
            )
        return {sha256: (segment, row) for row, sha256 in enumerate(contents[:whole])}

    def segment_path(self, name: str) -> Path:
        return self.folder / "images" / f"{name}.u8"

    # -- size ------------------------------------------------------------------------------------------------------

    def make_room(self, wanted_bytes: int, keep: Iterable[Place]) -> None:
        """Evicts the segments unused for longest until ``wanted_bytes`` more fit below the bound.

        Args:
            wanted_bytes: About to be written.
            keep: What the caller is using. What other processes are using is theirs for as long as they run: they
                have it mapped.

        Raises:
            DataError: They cannot fit, into the bound or onto the disk.
        """
        self._remove_leftovers()
        bound = bound_bytes()
        kept = {segment.name for segment, _ in keep}
        segments = self._index.execute("SELECT name, bytes FROM segments ORDER BY used_at").fetchall()
        total = sum(size for _, size in segments)
        evicted: dict[str, int] = {}
        for name, size in segments:
            if total + wanted_bytes <= bound:
                break
            if name not in kept:
                evicted[name] = size
                total -= size
        needed = total + wanted_bytes
        if needed > bound:
            raise DataError(
                f"The decoded images need {needed / 1e9:.2f} GB; the cache may hold {bound / 1e9:.2f} GB.",
                "Raise ZOO_CACHE_GB, or use a smaller image size.",
            )
        free = shutil.disk_usage(self.folder).free + sum(evicted.values())
        if wanted_bytes > free - 64 * 2**20:
            raise DataError(
                f"The decoded images need {wanted_bytes / 1e9:.2f} GB in {self.folder}; {free / 1e9:.2f} GB are free.",
                "Free some space (`zoo cache --clear`), or set ZOO_CACHE_DIR to a larger disk.",
            )
        for name in evicted:  # only now: what cannot fit shall not cost what is there
            self._forget_segment(name)

    def usage(self) -> CacheUsage:
        size = sum(_size(path) for path in self.folder.rglob("*") if path.is_file())
        images = self._index.execute("SELECT COUNT(*) FROM images").fetchone()[0]
        return CacheUsage(self.folder, size, images, bound_bytes())

    def clear(self) -> None:
        """Removes everything the cache made, and nothing else that may be in its folder.

        The databases are emptied rather than removed: another process may be using them, and goes on.
        """
        self.close()
        for path in (self.folder / "index.sqlite", self.folder / "audit.sqlite"):
            try:
                empty_database(path)
            except sqlite3.Error as error:
                raise self._unusable(error) from error
        self._remove_segments()
        for name in ("datasets", "openimages"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / "precision.json").unlink(missing_ok=True)

    def _remove_segments(self) -> None:
        for pattern in ("*.u8", "*.tmp"):
            for path in (self.folder / "images").glob(pattern):
                _remove(path)

    def _forget_segment(self, name: str) -> int:
        """Drops a segment, and returns how many rows of it were in use."""
        with self._index:
            rows = self._index.execute("DELETE FROM images WHERE segment = ?", (name,)).rowcount
            self._index.execute("DELETE FROM segments WHERE name = ?", (name,))
        # A process that has it mapped goes on reading it; the space is freed when the last one lets go.
        _remove(self.segment_path(name))
        return rows

    def _remove_leftovers(self) -> None:
        """What processes that were killed left: temporaries, and segments that never came into the index."""
        indexed = {self.segment_path(name) for (name,) in self._index.execute("SELECT name FROM segments")}
        segments, temporaries = ((self.folder / "images").glob(pattern) for pattern in ("*.u8", "*.tmp"))
        for path in (*temporaries, *segments):
            with contextlib.suppress(FileNotFoundError):  # its process has just given it its name
                # A younger one may still be written, or be about to be entered.
                if path not in indexed and time.time() - path.stat().st_mtime > 3600:
                    path.unlink()

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._index:
                self._index.executemany(statement, rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from error


def damage_note(count: int, what: str = "images") -> str:
    """What the user should read when cached arrays were damaged."""
    return f"{count} of the cached {what} were damaged on the disk. They were dropped and made again."


def _remove(path: Path) -> None:
    """Removes a file; Windows keeps those that a process has mapped, until a later call."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        path.unlink()


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), 500):
        yield values[start : start + 500]


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))


def _key(path: str) -> bytes:
    return os.fsencode(path)


def _path(key: bytes) -> str:
    return os.fsdecode(key)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
