"""Lists the files and labels of ``--data``: a folder of class folders, split folders, or a CSV file.

Only names and file types are read, and no file is opened.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import DataError, UsageError
from zoo.images import patiently
from zoo.images.signatures import SUFFIXES
from zoo.reporter import Say, Slow
from zoo.text_files import decode_csv

TRAIN, VAL, TEST = SPLITS = ("train", "val", "test")

#: The split of photos without labels, on which a student is trained in addition to the training images.
UNLABELLED = "unlabelled"

#: Accepted names of splits, each with its split.
SPLIT_NAMES = {"train": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}

#: Folders and files of operating systems and tools, which are ignored, like hidden names (which start with a dot).
_SYSTEM_NAMES = frozenset(
    {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
    | {"__pycache__", "icon\r"}
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file that may be an image.

    Args:
        path: Path of the file.
        name: Name in messages and records: relative to the data folder, with forward slashes.
        label: Its class.
        split: ``train``, ``val``, ``test``, or ``None`` if the source has no splits.
    """

    path: str
    name: str
    label: str
    split: str | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not used, and the reason."""

    name: str
    reason: str


@dataclass
class Listing:
    """The files of a source.

    Args:
        root: The folder that names are relative to.
        entries: The files, in an order that does not depend on the file system.
        skipped: Files that are left out because of their location or CSV row, before any file is opened.
        notes: Sentences that the user should read.
        recorded: SHA-256 by name, from the column ``sha256`` of a CSV file.
        slow: Says how many files are listed, if that takes long.
    """

    root: Path
    entries: list[Entry] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    recorded: dict[str, str] = field(default_factory=dict)
    slow: Slow = field(default_factory=lambda: Slow("", None))

    def skip(self, path: str | Path, reason: str) -> None:
        self.skipped.append(Skipped(self.name_of(path), reason))

    def name_of(self, path: str | Path) -> str:
        return Path(os.path.relpath(path, self.root)).as_posix()

    def check_still_there(self) -> None:
        """Checks that the folder still exists after its files were read. `zoo cache --clear` removes named datasets.

        Raises:
            DataError: The folder was removed meanwhile, so that unreadable files may be missing instead of damaged.
        """
        if not self.root.is_dir():
            raise DataError(f"{self.root} was removed while it was read.", "Run the command again.")


def list_source(path: Path, say: Say | None = None) -> Listing:
    """Lists a folder or a CSV file.

    Args:
        path: The folder or file.
        say: Receives the number of files that are listed, if that takes longer than a second.

    Raises:
        UsageError: ``path`` does not exist, or is neither a folder nor a CSV file.
        DataError: ``path`` contains no class, or the CSV file lacks a column.
    """
    if path.is_dir():
        listing = _list_folder(path, Slow("Listing the files: {} so far", say))
    elif path.is_file() and path.suffix.lower() == ".csv":
        listing = _list_csv(path)
    elif path.exists():
        raise UsageError(
            f"'{path}' is neither a folder nor a CSV file.", "Give a folder of class folders, or a .csv file."
        )
    else:
        raise UsageError(f"No data at '{path}'.", "Give a folder, a CSV file or a name that `zoo list` shows.")
    listing.entries.sort(key=lambda entry: entry.name)
    listing.skipped.sort(key=lambda skipped: skipped.name)
    if not listing.entries:
        loose = sum(item.reason == _LOOSE for item in listing.skipped)
        if loose:
            raise DataError(
                f"'{path}' contains {loose} image(s), but no class folder with images. Is it a class folder itself?",
                f"If so, give its parent folder: {path.resolve().parent}.",
            )
        raise DataError(f"'{path}' contains no class folder with files.", _LAYOUT_HINT)
    return listing


_LOOSE = "not in a class folder"

#: The hint for a CSV file that cannot be read.
CSV_HINT = "Save it as CSV in UTF-8; Excel calls this 'CSV UTF-8'."

_LAYOUT_HINT = (
    "Expected photos/<class>/*.jpg, photos/train/<class>/*.jpg, or a CSV with the columns path,label[,split]."
)


def list_unlabelled(folder: Path) -> Listing:
    """Lists all files in a folder and its subfolders, whatever their names.

    Raises:
        UsageError: The folder does not exist.
        DataError: The folder cannot be listed, or contains no file.
    """
    if not folder.exists():
        raise UsageError(
            f"There is no folder '{folder}'.", "Give a folder of photos. Photos in its subfolders are used too."
        )
    if not folder.is_dir():
        raise UsageError(
            f"'{folder}' is not a folder.", "Give a folder of photos. Photos in its subfolders are used too."
        )
    listing = Listing(folder)
    try:
        _children(folder)
    except OSError as error:
        raise DataError(f"Could not list '{folder}': {error.strerror}.", "Check its permissions.") from error
    listing.entries += [Entry(path, listing.name_of(path), "", UNLABELLED) for path in _walk(listing, folder, set())]
    listing.entries.sort(key=lambda entry: entry.name)
    if not listing.entries:
        why = f": {listing.skipped[0].name} is a {listing.skipped[0].reason}" if listing.skipped else ""
        raise DataError(
            f"'{folder}' contains no file{why}.", "Give a folder of photos. Photos in its subfolders are used too."
        )
    return listing


def _list_folder(root: Path, slow: Slow) -> Listing:
    try:
        folders = _folders(root)
        split_folders = _split_folders(root)
        if not split_folders and len(folders) == 1 and _split_folders(root / folders[0]):
            root /= folders[0]  # the folder Main/ of the original tutorial, above train/ and test/
            folders = _folders(root)
            split_folders = _split_folders(root)
        listing = Listing(root, slow=slow)
        if split_folders:
            others = [name for name in folders if name not in split_folders]
            if others:
                listing.notes.append(f"Folders next to train/ that are not splits are ignored: {', '.join(others)}.")
            for name, split in split_folders.items():
                _list_classes(listing, root / name, split)
        else:
            _list_classes(listing, root, None)
    except OSError as error:
        raise DataError(
            f"Could not list '{error.filename or root}': {error.strerror}.", "Check its permissions."
        ) from error
    return listing


def _split_folders(root: Path) -> dict[str, str]:
    """The split of each folder if ``root`` contains split folders. Empty if it does not.

    A class may be called ``train`` (trains, buses, cars): ``train`` is only a split if it contains folders itself.
    Without such a folder, for example in a test set, all folders must have names of splits and contain folders.
    """
    folders = _folders(root)
    names = {name: SPLIT_NAMES[name.lower()] for name in folders if name.lower() in SPLIT_NAMES}
    trains = [name for name, split in names.items() if split == TRAIN]
    deciding = trains or (folders if len(names) == len(folders) else [])
    return names if deciding and all(_folders(root / name) for name in deciding) else {}


def _folders(root: Path) -> list[str]:
    return [child.name for child in _children(root) if _is_folder(child)]


def _children(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted((entry for entry in found if not _ignored(entry.name)), key=lambda entry: entry.name)


def _is_folder(child: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one. A symbolic link that points to itself is not a folder."""
    try:
        return child.is_dir()
    except OSError:
        return False


def _list_classes(listing: Listing, root: Path, split: str | None) -> None:
    seen = {_identity(listing.root), _identity(root)}
    for child in _children(root):
        if _is_folder(child):
            skipped_before = len(listing.skipped)
            files = list(_walk(listing, Path(child.path), seen))
            if not files:
                why = "contains no file" if len(listing.skipped) == skipped_before else "contains no accessible file"
                listing.notes.append(f"The folder '{listing.name_of(child.path)}' {why} and is not used as a class.")
            listing.entries += [Entry(path, listing.name_of(path), child.name, split) for path in files]
        elif Path(child.name).suffix.lower() in SUFFIXES:
            listing.skip(child.path, _LOOSE)
        elif child.is_symlink() and not os.path.exists(child.path):  # noqa: PTH110 - pathlib raises an error for some
            listing.skip(child.path, "a link that cannot be followed, so it is not a class")


def _walk(listing: Listing, folder: Path, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Every file below ``folder``. Links are followed, but no folder is visited twice.

    A folder that cannot be listed is skipped with its reason. The function is not recursive, because folders may be
    nested a thousand levels deep.
    """
    waiting = [str(folder)]
    while waiting:
        path = Path(waiting.pop())
        try:
            identity = patiently(_identity, path)
            children = patiently(_children, path) if identity not in seen else []
        except OSError as error:
            listing.skip(path, f"folder that cannot be listed: {error.strerror}")
            continue
        seen.add(identity)
        waiting += [child.path for child in reversed(children) if _is_folder(child)]
        for child in children:
            if not _is_folder(child):
                listing.slow.tick()
                yield child.path


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return (stat.st_dev, stat.st_ino)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def _list_csv(path: Path) -> Listing:
    listing = Listing(path.parent)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Could not read '{path}': {error.strerror}.") from error
    try:
        text = decode_csv(content)
    except ValueError as error:
        raise DataError(f"Could not read '{path}': {error}.", CSV_HINT) from None
    # Not splitlines, because it also splits at U+2028 and U+0085, which a name may contain.
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = [name.strip() for name in reader.fieldnames or ()]
    missing = [name for name in ("path", "label") if name not in columns]
    if missing:
        found = ", ".join(columns) or "none"
        hint = "The first line must be path,label[,split]"
        hint += ", with commas: spreadsheets may save semicolons." if ";" in found else "."
        raise DataError(f"'{path}' lacks the column(s) {', '.join(missing)}. Found: {found}.", hint)
    reader.fieldnames = columns
    seen: dict[str, str] = {}
    turned = 0
    try:
        for row in reader:
            turned += _turn_backslashes(listing, row)
            _add_row(listing, path, reader.line_num, row, seen)
    except csv.Error as error:
        raise DataError(f"'{path}', line {reader.line_num}: {error}.") from error
    if turned:
        listing.notes.append(f"{turned} path(s) in {path.name} contain backslashes, which were read as slashes.")
    return listing


def _turn_backslashes(listing: Listing, row: dict[str, str | None]) -> bool:
    """Replaces the backslashes of a path from Windows on another system, where they are part of a name.

    Returns whether the row was changed.
    """
    name = (row["path"] or "").strip()
    # Not Path.exists, because it raises an error for a name that is too long.
    if os.sep == "\\" or "\\" not in name or os.path.exists(listing.root / name):  # noqa: PTH110
        return False
    row["path"] = name.replace("\\", "/")
    return True


def _add_row(listing: Listing, csv_path: Path, line: int, row: dict[str, str | None], seen: dict[str, str]) -> None:
    name = (row["path"] or "").strip()
    label = (row["label"] or "").strip()
    split = (row.get("split") or "").strip().lower()
    if not name or not label:
        listing.skipped.append(Skipped(name or f"line {line}", f"line {line} has no {'path' if not name else 'label'}"))
        return
    for column, value in (("path", name), ("label", label)):
        if "\0" in value:
            shown = value.replace("\0", "\\0")
            listing.skipped.append(Skipped(f"line {line}", f"line {line}: its {column} '{shown}' contains a null byte"))
            return
    if split and split not in SPLIT_NAMES:
        raise DataError(
            f"'{csv_path}', line {line}: unknown split {split!r}.", f"Known: {', '.join(SPLIT_NAMES)}, or nothing."
        )
    if name in seen:
        other = f", with the label '{label}' instead of '{seen[name]}'" if label != seen[name] else ""
        listing.skipped.append(Skipped(name, f"listed twice: again in line {line}{other}"))
        return
    seen[name] = label
    recorded = (row.get("sha256") or "").strip().lower()
    if recorded:
        listing.recorded[name] = recorded
    listing.entries.append(Entry(os.path.join(listing.root, name), name, label, SPLIT_NAMES.get(split)))  # noqa: PTH118
