"""Where the files of an export go, and what may be replaced there."""

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
    """What is in the way is replaced only where it is an export of ours."""
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
            f"{final} is in the way: it holds files that no export made, such as '{strange[0]}'.",
            "Move them away, or choose another folder with --out.",
        )


def put(aside: Path, final: Path) -> None:
    """Renames a whole folder into its place.

    Raises:
        ExportError: It cannot be renamed.
    """
    try:
        put_folder(aside, final)
    except OSError as error:
        raise ExportError(f"Could not write {final}: {error.strerror}.", "Choose another folder with --out.") from error
