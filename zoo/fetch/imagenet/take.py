"""Extracts classes from a copy of ImageNet into class folders. The copy is only read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath

from zoo.fetch.disk import unwritable
from zoo.fetch.download import DEFAULT_MAX_BYTES, SUFFIX
from zoo.fetch.errors import RefusedError
from zoo.fetch.folder import Credit, Failure, ImageFolder
from zoo.fetch.imagenet.source import Copy, Member
from zoo.fetch.names import folded, safe_name, short_digest
from zoo.images import ImageError, look, probe
from zoo.images.ahead import ahead

TERMS = "ImageNet terms of access: non-commercial research and education; each image belongs to its author"


@dataclass(frozen=True)
class Listed:
    """A file of a copy to be extracted as an image of a class."""

    member: Member
    folder: str
    stem: str


@dataclass
class Taken:
    """The result of a run: paths of all images of the list, the number of new ones, and the failures."""

    kept: list[tuple[Listed, str]] = field(default_factory=list)
    new: int = 0
    failures: list[Failure] = field(default_factory=list)


def listed(copy: Copy, classes: Mapping[str, str], folder: ImageFolder, limit: int | None) -> Iterator[Listed]:
    """The files of given classes, in a stable order. Read each file before advancing to the next.

    Args:
        copy: The copy of ImageNet.
        classes: Class names by WordNet ID.
        folder: Determines the folder of each class.
        limit: Maximum number of files per class.
    """
    for wnid, name in classes.items():
        stems: set[str] = set()
        for member in islice(copy.members(wnid), limit):
            try:
                stem = safe_name(PurePosixPath(member.name).stem)
            except RefusedError:
                stem = short_digest(member.name)
            if folded(stem) in stems:
                stem = f"{stem}-{short_digest(member.name)}"
            stems.add(folded(stem))
            yield Listed(member, folder.labels.name(name), stem)


def take(
    copy: Copy,
    classes: Mapping[str, str],
    folder: ImageFolder,
    limit: int | None,
    workers: int,
    progress: Callable[[int], None],
) -> Taken:
    """Extracts the missing images. ``folder.filling()`` must be active.

    Args:
        copy: The copy of ImageNet.
        classes: Class names by WordNet ID.
        folder: The target folder.
        limit: Maximum number of images per class.
        workers: Number of decoding threads.
        progress: Called with the number of files processed.

    Raises:
        DataError: The disk is full, or the archive is damaged. The files that are present are complete.
    """
    taken = Taken()

    def read(one: Listed) -> tuple[Listed, str | bytes | RefusedError]:
        there = folder.has(one.folder, one.stem)
        if there:
            return one, there
        if one.member.size_bytes > DEFAULT_MAX_BYTES:
            return one, RefusedError(f"larger than {DEFAULT_MAX_BYTES // 10**6} MB")
        try:
            return one, one.member.read()
        except RefusedError as error:
            return one, error

    # An archive must be read sequentially, but the files are checked in parallel.
    files = (read(one) for one in listed(copy, classes, folder, limit))
    try:
        for count, (one, found) in enumerate(ahead(_looked_at, files, workers), 1):
            if isinstance(found, RefusedError):
                taken.failures.append(Failure(one.member.name, one.folder, found.reason))
            else:
                path = found if isinstance(found, str) else _write(found[0], found[1], one, folder)
                taken.new += not isinstance(found, str)
                taken.kept.append((one, path))
            progress(count)
    finally:
        folder.write_credits(
            [
                Credit(source="ImageNet", title=one.member.name, licence=TERMS).row(path, one.folder)
                for one, path in taken.kept
            ]
        )
        folder.write_failures(taken.failures)
    return taken


def _looked_at(
    item: tuple[Listed, str | bytes | RefusedError],
) -> tuple[Listed, str | tuple[bytes, str] | RefusedError]:
    """Returns the bytes and the suffix of the image format."""
    one, found = item
    if not isinstance(found, bytes):
        return one, found
    try:
        look(found)
        return one, (found, SUFFIX[probe(found).format])
    except ImageError as error:
        return one, RefusedError(error.reason)


def _write(data: bytes, suffix: str, one: Listed, folder: ImageFolder) -> str:
    aside = folder.state / f"{short_digest(one.member.name)}.part"
    try:
        aside.write_bytes(data)
    except OSError as error:
        raise unwritable(aside, error) from error
    return folder.place(aside, one.folder, one.stem + suffix)
