"""A division on disk: the CSV that ``--data`` takes, and folders of copies or links where these are asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zoo.audit.photos import Photo
from zoo.errors import DataError, UsageError
from zoo.runs.atomic import make_folder, write_csv

HEADER = ("path", "label", "split", "sha256")


def refuse_existing(manifest: Path, folder: Path | None) -> None:
    """Raises ``UsageError`` where something of the user's would be written over."""
    if manifest.exists() or manifest.is_symlink():
        raise UsageError(f"There is already {manifest}.", "Give another name with --out, or remove it.")
    if folder is not None and (folder.is_symlink() or (folder.exists() and not _empty(folder))):
        raise UsageError(f"{folder} exists and is not an empty folder.", "Give a new folder.")
    if folder is not None and manifest.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"The manifest {manifest} would lie in {folder}.", "Give --out a place beside that folder.")


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def write_manifest(path: Path, photos: Sequence[Photo], splits: Sequence[str]) -> None:
    """Writes ``path,label,split,sha256``, paths relative to the manifest's folder.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    make_folder(path.parent)
    base = path.parent.absolute()
    rows = [
        (_relative(photo.path, base), photo.label, split, photo.sha256)
        for photo, split in zip(photos, splits, strict=True)
    ]
    write_csv(path, HEADER, rows)


def _relative(path: str, base: Path) -> str:
    try:
        relative = Path(os.path.relpath(path, base))
        if relative.parts[0] == ".." and base != base.resolve():  # above a link lies another folder than its path says
            file = Path(path)
            relative = Path(os.path.relpath(file.parent.resolve() / file.name, base.resolve()))
        return relative.as_posix()
    except ValueError:  # on another drive
        return Path(path).absolute().as_posix()


def copy_file(source: str, target: Path) -> None:
    shutil.copy2(source, target)


def link_file(source: str, target: Path) -> None:
    target.symlink_to(Path(source).absolute())


@contextmanager
def split_folders(
    folder: Path, photos: Sequence[Photo], splits: Sequence[str], place: Callable[[str, Path], None]
) -> Iterator[None]:
    """Fills ``folder/<split>/<class>/`` beside its place, and gives it its name when the block ends without an error.

    Args:
        folder: Does not exist, or is empty.
        photos, splits: What goes where.
        place: ``copy_file`` or ``link_file``.

    Raises:
        UsageError: A label that cannot name a folder.
        DataError: A file cannot be read, or the disk is full.
    """
    for label in sorted({photo.label for photo in photos}):
        if label.startswith(".") or "/" in label or os.sep in label or "\0" in label:
            raise UsageError(f"The class {label!r} cannot name a folder.", "Use the manifest: it needs no copies.")
    whole = folder.absolute()
    aside = whole.with_name(f".{whole.name}.{os.getpid()}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        make_folder(aside)
        taken: set[str] = set()
        for photo, split in zip(photos, splits, strict=True):
            into = aside / split / photo.label
            into.mkdir(parents=True, exist_ok=True)
            place(photo.path, into / _free_name(photo, split, taken))
        yield
        if folder.is_dir():
            folder.rmdir()
        aside.rename(folder)
    except OSError as error:
        raise DataError(f"Could not write {folder}: {error.strerror or error}.", "Free some space.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _free_name(photo: Photo, split: str, taken: set[str]) -> str:
    """The file's own name; with a part of its hash where another file of that name, in any case, was there first."""
    path = Path(photo.path)
    name, number = path.name, 0
    while f"{split}/{photo.label}/{name}".casefold() in taken:
        number += 1
        name = f"{path.stem[:200]}-{photo.sha256[:8]}{f'-{number}' if number > 1 else ''}{path.suffix}"
    taken.add(f"{split}/{photo.label}/{name}".casefold())
    return name
