"""Writes folders atomically: each is filled under a temporary name, which is locked, and then renamed."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.atomic import make_folder, process_name
from zoo.errors import TrainingError
from zoo.locks import locked


@contextmanager
def folder_aside(final: Path) -> Iterator[Path]:
    """Yields a new temporary folder next to ``final``. If it is not renamed, it is removed at the end.

    Leftovers of killed processes are removed first. A folder that ``put_folder`` had moved away is restored if it was
    not replaced.
    """
    make_folder(final.parent)
    _sweep(final)
    aside = final.with_name(f".{final.name}.{process_name()}")
    with locked(aside.with_name(f"{aside.name}.lock"), remove=True):
        make_folder(aside)
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def put_folder(aside: Path, final: Path) -> None:
    """Renames a folder of ``folder_aside`` to its final path: in one step if the path is free, otherwise in two.

    Args:
        aside: The complete folder.
        final: The path given to ``folder_aside``, or this path with a suffix, such as ``.refused``.

    Raises:
        OSError: The folder cannot be renamed. An existing folder is not changed.
    """
    name = aside.name[1:].rpartition(".")[0]
    # The folder that is moved away is named after the temporary one, so that a cleanup finds both, under one lock.
    old = aside.with_name(f"{aside.name}{final.name.removeprefix(name)}.old")
    try:
        if final.exists():
            final.rename(old)
        aside.rename(final)
    finally:
        # This also runs after Ctrl-C or SIGTERM.
        if old.exists() and not final.exists():
            old.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _sweep(final: Path) -> None:
    ours = re.compile(rf"(\.{re.escape(final.name)}\.\d+)((?:\.[a-z]+)?\.old|\.zip|\.lock)?")
    for path in sorted(final.parent.iterdir()):
        found = ours.fullmatch(path.name)
        if not found:
            continue
        try:
            with locked(path.with_name(f"{found[1]}.lock"), _AtWorkError("at work"), remove=True):
                suffix = found[2] or ""
                room = final.with_name(f"{final.name}{suffix.removesuffix('.old')}")
                if suffix.endswith(".old") and not room.exists():
                    path.rename(room)
                elif path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif found[2] == ".zip":
                    path.unlink(missing_ok=True)
        except (_AtWorkError, OSError):
            continue


class _AtWorkError(TrainingError):
    """Raised if the process that made a folder is still running."""
