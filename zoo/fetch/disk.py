"""Errors on writing to the disk."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import DataError


def unwritable(path: Path, error: OSError) -> DataError:
    """The error for a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"The disk with {path.parent} is full.",
            "The files that are present are complete. Free some space, then run the same command to continue.",
        )
    return DataError(
        f"Could not write in {path.parent}: {error.strerror or error}.",
        "Fix this, then run the same command to continue.",
    )


def busy(folder: Path) -> DataError:
    """The error for a folder that another process is filling."""
    return DataError(f"Another command is writing to {folder}.", "Wait until it is finished.")


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Converts an ``OSError`` in the block to that error."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def remove_file(path: Path) -> None:
    with using(path):
        path.unlink(missing_ok=True)
