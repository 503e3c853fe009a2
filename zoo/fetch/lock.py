"""One process at a time fills a folder. The lock ends with the process, however that ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from zoo.errors import DataError


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Holds ``folder/lock``; the folder must be there.

    Raises:
        DataError: Another process holds it.
    """
    with (folder / "lock").open("ab") as file:
        try:
            _lock(file)
        except OSError:
            raise DataError(f"Another command is just filling {what}.", "Wait until it is done.") from None
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
