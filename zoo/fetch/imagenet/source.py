"""The forms of a copy of ImageNet: one archive of archives, one archive per class, or class folders."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from zoo.errors import DataError, UsageError
from zoo.fetch.errors import RefusedError
from zoo.fetch.imagenet.synsets import WNID

#: Locations of the class folders in common layouts, relative to the folder that the user names.
_PLACES = (".", "train", "ILSVRC/Data/CLS-LOC/train", "Data/CLS-LOC/train", "CLS-LOC/train")
_TRAIN = "ILSVRC2012_img_train.tar"
_HINT = (
    "--from must be ILSVRC2012_img_train.tar, a tar file of one class such as n04118538.tar, or a folder with such tar "
    "files or with class folders such as n04118538/."
)
#: Errors of a damaged compressed archive; ``tarfile`` does not convert the errors of the decompressor.
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


@dataclass(frozen=True)
class Member:
    """A file of a copy.

    Args:
        name: Its path in the copy.
        size_bytes: Size of the file.
        read: Returns its bytes. Raises ``RefusedError`` for entries that are not files and for unsafe links.
    """

    name: str
    size_bytes: int
    read: Callable[[], bytes]


class Copy(Protocol):
    """A copy of ImageNet, or of some of its classes."""

    @property
    def wnids(self) -> list[str]:
        """The classes in the copy."""

    def members(self, wnid: str) -> Iterator[Member]:
        """The files of a class, in a stable order. Call ``read`` of a file before advancing to the next."""


def open_copy(path: Path) -> Copy:
    """Opens the copy at a path.

    Raises:
        UsageError: There is no copy of ImageNet.
        DataError: The archive is damaged.
    """
    if path.is_dir():
        return _open_folder(path)
    if path.is_file() and path.suffix.lower() in (".tar", ".gz", ".tgz"):
        return _Archive(path)
    if path.exists():
        raise UsageError(f"'{path}' is neither a folder nor a tar file.", _HINT)
    raise UsageError(f"'{path}' does not exist.", _HINT)


def _open_folder(path: Path) -> Copy:
    try:
        for place in _PLACES:
            folder = path / place
            children = sorted(folder.iterdir()) if folder.is_dir() else []
            folders = {child.name: child for child in children if WNID.fullmatch(child.name) and child.is_dir()}
            archives = {
                child.stem: child for child in children if child.suffix == ".tar" and WNID.fullmatch(child.stem)
            }
            if folders or archives:
                return _Folders(archives, folders)
            if (folder / _TRAIN).is_file():
                return _Archive(folder / _TRAIN)
    except OSError as error:
        raise DataError(
            f"Could not list '{error.filename or path}': {error.strerror}.", "Check its permissions."
        ) from error
    raise UsageError(f"'{path}' contains neither class folders nor tar files of ImageNet.", _HINT)


@dataclass(frozen=True)
class _Folders:
    archives: dict[str, Path]
    folders: dict[str, Path]

    @property
    def wnids(self) -> list[str]:
        return sorted({*self.archives, *self.folders})

    def members(self, wnid: str) -> Iterator[Member]:
        if wnid not in self.folders:
            yield from _Archive(self.archives[wnid]).members(wnid)
            return
        for path in sorted(self.folders[wnid].rglob("*")):
            if not path.name.startswith(".") and not path.is_dir():
                name = path.relative_to(self.folders[wnid].parent).as_posix()
                yield Member(name, path.stat().st_size if path.is_file() else 0, partial(_read_file, path))


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise RefusedError("not a regular file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise RefusedError(error.strerror or str(error)) from error


class _Archive:
    """A tar file that contains one tar file per class, the images of one class, or class folders."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._classes: dict[str, list[tarfile.TarInfo]] = {}
        with _opened(path) as archive:
            for info in _infos(archive, path):
                wnid = _class_of(info.name, path.stem.partition(".")[0])
                if wnid and not info.isdir():
                    self._classes.setdefault(wnid, []).append(info)
        if not self._classes:
            raise UsageError(f"'{path}' contains no ImageNet images.", _HINT)

    @property
    def wnids(self) -> list[str]:
        return sorted(self._classes)

    def members(self, wnid: str) -> Iterator[Member]:
        with _opened(self._path) as archive:
            for info in self._classes[wnid]:
                if info.name.endswith(".tar") and info.isfile():
                    file = archive.extractfile(info)
                    assert file is not None
                    where = f"{self._path}, {info.name}"
                    with _opened_in(file, where) as inner:
                        yield from (_member(inner, one) for one in _infos(inner, where) if not one.isdir())
                else:
                    yield _member(archive, info)


def _class_of(name: str, archive: str) -> str | None:
    """The class of a member: the first WordNet ID among the names of its folders (innermost first), its own name
    without ``.tar``, the start of its file name (up to ``_``), and the name of the archive. ``None`` if none of them is
    a WordNet ID."""
    path = PurePosixPath(name)
    for part in (*reversed(path.parts[:-1]), path.name.removesuffix(".tar"), path.name.partition("_")[0], archive):
        if WNID.fullmatch(part):
            return part
    return None


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    def read() -> bytes:
        # Nothing is extracted to a path that an archive names. An archive with a suspicious path is not trusted at all.
        if ".." in PurePosixPath(info.name).parts or info.name.startswith("/"):
            raise RefusedError("its path points outside the archive")
        file = archive.extractfile(info) if info.isfile() else None
        if file is None:
            raise RefusedError("not a regular file")
        try:
            return file.read()
        except (*_DAMAGED, OSError) as error:
            raise RefusedError("the archive ends within this file") from error

    return Member(info.name, info.size, read)


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(path)
    except _DAMAGED as error:
        raise _no_archive(f"'{path}'", error) from error
    except OSError as error:
        raise DataError(f"Could not read '{path}': {error.strerror}.") from error


def _opened_in(file: IO[bytes], where: str) -> tarfile.TarFile:
    try:
        return tarfile.open(fileobj=file, mode="r:")
    except (*_DAMAGED, OSError) as error:
        raise _no_archive(where, error) from error


def _no_archive(where: str, error: Exception) -> DataError:
    if isinstance(error, tarfile.TarError):
        # tarfile appends the messages for all compressions, which are too long.
        reason = str(error).partition("\n")[0].rstrip(":")
        return DataError(f"{where} is not a tar file, or is damaged: {reason}.")
    return _cut_short(where, error)


def _infos(archive: tarfile.TarFile, where: object) -> Iterator[tarfile.TarInfo]:
    try:
        yield from archive
        _check_end(archive)
    except (*_DAMAGED, OSError) as error:
        raise _cut_short(where, error) from error


def _check_end(archive: tarfile.TarFile) -> None:
    """Checks the end of the archive. ``tarfile`` treats an invalid header as the end and ignores all data after it."""
    file = archive.fileobj
    assert file is not None
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise tarfile.ReadError(f"no header at byte {archive.offset}")
    if isinstance(file, gzip.GzipFile):
        while file.read(2**20):
            pass


def _cut_short(where: object, error: Exception) -> DataError:
    return DataError(f"{where} is damaged or truncated: {error}.", "Compare its size or checksum with the original's.")
