"""One process at a time fills a folder. The lock ends with the process, however that ends."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from zoo.errors import DataError
from zoo.fetch.disk import unwritable, using

#: What systems say of a lock that is held: POSIX the first or the second, Windows the second.
_HELD = (errno.EAGAIN, errno.EACCES)


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Holds ``folder/lock``; the folder must be there.

    Raises:
        DataError: Another process holds it, or the disk has no locks.
    """
    path = folder / "lock"
    with using(path):
        file = path.open("ab")
    with file:
        try:
            _lock(file)
        except OSError as error:
            if error.errno not in _HELD:
                raise unwritable(path, error) from error
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
