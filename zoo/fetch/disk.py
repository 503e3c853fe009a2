"""What a disk that does not take a file is called."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import DataError


def unwritable(path: Path, error: OSError) -> DataError:
    """The error for a disk that does not take a file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"The disk with {path.parent} is full.",
            "What is there already is whole and stays. Free some space; the same command goes on.",
        )
    return DataError(
        f"Could not write in {path.parent}: {error.strerror or error}.", "Mend it; the same command goes on."
    )


def busy(folder: Path) -> DataError:
    """The error for a folder that another process is filling."""
    return DataError(f"Another command is just filling {folder}.", "Wait until it is done.")


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Turns an ``OSError`` of the block into that error."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def remove_file(path: Path) -> None:
    with using(path):
        path.unlink(missing_ok=True)
