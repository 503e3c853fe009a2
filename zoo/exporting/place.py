"""Where the files of an export go, what they may replace, and their ZIP archive."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Collection
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

from zoo.atomic_folders import put_folder
from zoo.errors import ExportError
from zoo.exporting.bundle import made_by_us
from zoo.exporting.job import Job, Target
from zoo.locks import locked

# The earliest time that ZIP can store.
_DATE = (1980, 1, 1, 0, 0, 0)
# The number of time stamps in 38 years; ZIP stores time in steps of two seconds.
_DATES = 600_000_000


def write_archive(folder: Path, path: Path, name: str, files: Collection[str] | None = None) -> None:
    """Packs every file below ``folder``, in order of name, into the folder ``name`` of a new archive.

    Args:
        folder: The folder to pack.
        path: Path of the archive.
        name: Name of the folder in the archive.
        files: Paths of the files to pack, relative to ``folder``. ``None``: all.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(entry for entry in folder.rglob("*") if entry.is_file()):
            if files is not None and file.relative_to(folder).as_posix() not in files:
                continue
            content = file.read_bytes()
            entry = zipfile.ZipInfo(f"{name}/{file.relative_to(folder).as_posix()}", _date(file, content))
            entry.create_system = 3  # the same on every system
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def _date(file: Path, content: bytes) -> tuple[int, int, int, int, int, int]:
    """A date for a source file that changes with its content.

    Python uses the compiled code in ``__pycache__`` if date and size of the source match. With one date for all files,
    a bundle that is unpacked over an older one could run the older code.
    """
    if file.suffix != ".py":
        return _DATE
    number = int.from_bytes(hashlib.sha256(content).digest()[:4], "big") % _DATES
    when = datetime(*_DATE[:3]) + timedelta(seconds=2 * number)
    return (when.year, when.month, when.day, when.hour, when.minute, when.second)


def packed_by_us(path: Path, name: str) -> bool:
    """Whether a file is an archive of one folder ``name`` that contains ``spec.json``. Nothing is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
    return f"{name}/spec.json" in names and all(found.startswith(f"{name}/") for found in names)


def folder_of(job: Job, target: Target) -> Path:
    return job.folder / f"{job.trained.architecture}-{target.exporter.name}-{target.precision}"


def refused_folder(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.refused")


def archive_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.zip")


def refuse_foreign(final: Path) -> None:
    """Refuses to replace a folder that was not created by an export."""
    strange: list[str] = []
    if final.is_dir():
        ours = made_by_us(final)
        strange = sorted(entry.name for entry in final.iterdir() if entry.name not in ours)
    elif final.exists():
        strange = [final.name]
    archive = archive_of(final)
    if not strange and archive.exists() and not packed_by_us(archive, final.name):
        final, strange = archive, [archive.name]
    if strange:
        raise ExportError(
            f"{final} already exists and contains files that are not from an export, such as '{strange[0]}'.",
            "Move them away, or choose another folder with --out.",
        )


def replacing(final: Path) -> AbstractContextManager[None]:
    """Holds the lock of a bundle, which every command holds while it replaces the folder and its archive."""
    return locked(final.with_name(f".{final.name}.lock"), remove=True)


def put(aside: Path, final: Path) -> None:
    """Moves a complete folder to its final path.

    Raises:
        ExportError: It cannot be renamed.
    """
    try:
        put_folder(aside, final)
    except OSError as error:
        raise ExportError(f"Could not write {final}: {error.strerror}.", "Choose another folder with --out.") from error
