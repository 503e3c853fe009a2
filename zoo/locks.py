"""Locks between processes. When the process that holds a lock ends for any reason, the lock is released.

On a file system without locks, ``filelock`` warns and uses the existence of a file as lock. If the process is killed,
that file remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zoo.errors import DataError, ZooError

#: Maximum wait for a lock that is held only while a small file is rewritten.
WAIT_S = 60.0


@contextmanager
def locked(path: Path, busy: ZooError | None = None, *, remove: bool = False) -> Iterator[None]:
    """Holds the lock file ``path``; its folder must exist.

    Args:
        path: Lock file, not the file that it protects.
        busy: Error to raise immediately if another process holds the lock. ``None``: the function waits for the lock.
        remove: Whether to remove the lock file at the end. Otherwise an empty file remains.

    Raises:
        DataError: The lock file cannot be written, or a wait took longer than ``WAIT_S``.
    """
    from filelock import FileLock, Timeout  # takes 30 ms to import

    lock = FileLock(path, timeout=0 if busy else WAIT_S, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise busy or DataError(
            f"Another command has held {path} for {WAIT_S:.0f} s.", "Wait until that command has ended, and try again."
        ) from None
    except OSError as error:
        raise DataError(
            f"Could not write in {path.parent}: {error.strerror or error}.",
            "Make the folder writable, or choose another one.",
        ) from error
    try:
        yield
    finally:
        if remove:
            # This is safe while the lock is held: a process that has opened the file notices the removal and creates a
            # new one.
            with suppress(OSError):
                path.unlink(missing_ok=True)
        lock.release()
