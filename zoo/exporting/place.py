"""The target folder of an export, and which files may be replaced in it."""

from __future__ import annotations

from pathlib import Path

from zoo.atomic_folders import put_folder
from zoo.errors import ExportError
from zoo.exporting.archive import packed_by_us
from zoo.exporting.bundle import made_by_us
from zoo.exporting.job import Job, Target


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


def put(aside: Path, final: Path) -> None:
    """Moves a complete folder to its final path.

    Raises:
        ExportError: It cannot be renamed.
    """
    try:
        put_folder(aside, final)
    except OSError as error:
        raise ExportError(f"Could not write {final}: {error.strerror}.", "Choose another folder with --out.") from error
