"""A split on disk: the CSV file for ``--data``, and folders of copies or links if requested."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from zoo.atomic import make_folder, write_csv
from zoo.atomic_folders import folder_aside
from zoo.audit.photos import Photo
from zoo.data.card import CardPart, write_card
from zoo.data.source import SPLITS, list_source
from zoo.errors import DataError, TrainingError, UsageError

HEADER = ("path", "label", "split", "sha256")


def refuse_existing(manifest: Path, folder: Path | None, keep: Path | None = None) -> None:
    """Raises ``UsageError`` if a file of the user would be overwritten."""
    if manifest.exists() or manifest.is_symlink():
        read = keep is not None and keep.exists() and manifest.exists() and manifest.samefile(keep)
        raise UsageError(
            f"{manifest} already exists.",
            "--keep reads this file. Give the new manifest another name with --out."
            if read
            else "Give another name with --out, or remove it.",
        )
    if folder is not None and (folder.is_symlink() or (folder.exists() and not _may_be_ours(folder))):
        raise _taken(folder)
    if folder is not None and manifest.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"The manifest {manifest} would be inside {folder}.", "Give --out a path outside that folder.")


def _may_be_ours(folder: Path) -> bool:
    """Whether a folder is empty or contains only split folders, possibly created by a command that was killed."""
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= set(SPLITS)


def _taken(folder: Path) -> UsageError:
    return UsageError(
        f"{folder} exists and is not an empty folder.",
        "Give a new folder. (An interrupted command can be completed by running it again on the same photos.)",
    )


def write_division(
    manifest: Path,
    photos: Sequence[Photo],
    splits: Sequence[str],
    part: CardPart,
    folder: Path | None = None,
    place: Callable[[str, Path], None] | None = None,
) -> Path:
    """Writes the folders of copies or links if requested, then the card, and finally the manifest.

    After an interruption, it can be called again with the same arguments. If there is no manifest yet, a folder that
    already contains exactly the right files is not changed.

    Args:
        manifest: The CSV file.
        photos, splits: The photos and their splits.
        part: The part of the card next to the manifest.
        folder: Folder to fill, as in ``split_folders``.
        place: ``copy_file`` or ``link_file``, used together with ``folder``.

    Returns:
        The card.

    Raises:
        UsageError: ``folder`` contains other files, or a label is not a valid folder name.
        DataError: A file cannot be read, links are not supported, or the folder cannot be written.
        TrainingError: The disk is full, or the folder of the manifest cannot be written.
    """
    if folder is not None and place is not None:
        split_folders(folder, photos, splits, place)
    make_folder(manifest.parent)
    card = write_card(manifest.parent, part)
    write_manifest(manifest, photos, splits)
    return card


def read_kept(path: Path) -> Mapping[str, str]:
    """The split of every SHA-256 in a manifest. The files may no longer exist.

    Raises:
        UsageError: The file does not exist.
        DataError: It is not a manifest of ``write_manifest``: a row is incomplete, or a content is in two splits.
    """
    hint = f"Give a manifest that `zoo data split` wrote: {','.join(HEADER)}."
    if not path.is_file():
        raise UsageError(f"--keep: the file {path} does not exist.", hint)
    listing = list_source(path)
    for item in listing.skipped:
        raise DataError(f"'{path}': {item.name}: {item.reason}.", hint)
    split_of: dict[str, str] = {}
    for entry in listing.entries:
        sha256 = listing.recorded.get(entry.name)
        if sha256 is None or entry.split is None:
            raise DataError(f"'{path}' has no {'sha256' if entry.split else 'split'} for {entry.name!r}.", hint)
        if split_of.setdefault(sha256, entry.split) != entry.split:
            both = f"{split_of[sha256]} and {entry.split}"
            raise DataError(f"'{path}' has the content of {entry.name!r} in {both}.", "Give it one split in this file.")
    return split_of


def write_manifest(path: Path, photos: Sequence[Photo], splits: Sequence[str]) -> None:
    """Writes ``path,label,split,sha256``. Paths are relative to the folder of the manifest.

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
        if (
            relative.parts[0] == ".." and base != base.resolve()
        ):  # the parent of a link's target differs from that of its path
            file = Path(path)
            relative = Path(os.path.relpath(file.parent.resolve() / file.name, base.resolve()))
        return relative.as_posix()
    except ValueError:  # on another drive
        return Path(path).absolute().as_posix()


def copy_file(source: str, target: Path) -> None:
    try:
        content = Path(source).read_bytes()
    except OSError as error:
        raise DataError(f"Could not read {source}: {error.strerror or error}.", "Fix or remove it.") from error
    target.write_bytes(content)
    shutil.copystat(source, target)


def link_file(source: str, target: Path) -> None:
    try:
        target.symlink_to(Path(source).absolute())
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in _WITHOUT_ROOM:
            raise
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"Could not create the link {target.name}: {reason}.",
            "This disk or system may not support symbolic links. Use --copy, or omit --link to write only the "
            "manifest.",
        ) from error


_WITHOUT_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NOT_WRITABLE = "Give a folder to which zoo can write, or omit --copy and --link to write only the manifest."


def split_folders(
    folder: Path, photos: Sequence[Photo], splits: Sequence[str], place: Callable[[str, Path], None]
) -> None:
    """Fills ``folder/<split>/<class>/`` under a temporary name, and renames it when it is complete.

    Args:
        folder: A folder that does not exist, is empty, or already contains exactly these files.
        photos, splits: The photos and their splits.
        place: ``copy_file`` or ``link_file``.

    Raises:
        UsageError: A label is not a valid folder name, or the folder contains other files.
        DataError: A file cannot be read, links are not supported, or the folder cannot be written.
    """
    for label in sorted({photo.label for photo in photos}):
        if label.startswith(".") or "/" in label or os.sep in label or "\0" in label:
            raise UsageError(
                f"The class name {label!r} is not a valid folder name.",
                "Omit --copy and --link to write only the manifest.",
            )
    taken: set[str] = set()
    planned = {
        f"{split}/{photo.label}/{_free_name(photo, split, taken)}": photo
        for photo, split in zip(photos, splits, strict=True)
    }
    try:
        make_folder(folder.absolute().parent)
        if folder.is_dir() and any(folder.iterdir()):
            if not _holds(folder, planned, place):
                raise _taken(folder)
            return
        with folder_aside(folder.absolute()) as aside:
            for name, photo in planned.items():
                target = aside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                place(photo.path, target)
            if folder.is_dir():
                folder.rmdir()
            aside.rename(folder)
    except TrainingError as error:
        raise DataError(error.message, _NOT_WRITABLE) from error
    except OSError as error:
        full = error.errno in _WITHOUT_ROOM
        hint = "Free some space." if full else _NOT_WRITABLE
        raise DataError(f"Could not write {folder}: {error.strerror or error}.", hint) from error


def _holds(folder: Path, planned: Mapping[str, Photo], place: Callable[[str, Path], None]) -> bool:
    """Whether a folder contains exactly these files."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not _is_folder(path)}
    return found.keys() == planned.keys() and all(
        _is_placed(found[name], photo, place) for name, photo in planned.items()
    )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_placed(path: Path, photo: Photo, place: Callable[[str, Path], None]) -> bool:
    if path.is_symlink() or place is link_file:
        return place is link_file and path.is_symlink() and path.readlink() == Path(photo.path).absolute()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == photo.sha256


def _free_name(photo: Photo, split: str, taken: set[str]) -> str:
    """The file's own name, or, if it is taken (ignoring case), the name with a part of the hash."""
    path = Path(photo.path)
    name, number = path.name, 0
    while f"{split}/{photo.label}/{name}".casefold() in taken:
        number += 1
        name = f"{path.stem[:200]}-{photo.sha256[:8]}{f'-{number}' if number > 1 else ''}{path.suffix}"
    taken.add(f"{split}/{photo.label}/{name}".casefold())
    return name
