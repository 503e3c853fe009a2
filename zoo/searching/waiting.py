"""Locks that wait until no other process holds them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zoo.errors import ZooError
from zoo.locks import locked
from zoo.reporter import Reporter

#: Seconds between two attempts.
ASK_AGAIN_S = 0.5


@contextmanager
def patiently_locked(path: Path, reporter: Reporter, told: str, *, remove: bool = False) -> Iterator[None]:
    """Holds a lock file, and removes it at the end if desired. If another process holds it, ``told`` is reported once.

    Raises:
        DataError: The lock file cannot be written.
    """
    with ExitStack() as stack:
        waiting = False
        while True:
            try:
                stack.enter_context(locked(path, _BusyError("busy"), remove=remove))
                break
            except _BusyError:
                if not waiting:
                    reporter.stage(told)
                waiting = True
                time.sleep(ASK_AGAIN_S)
        yield


class _BusyError(ZooError):
    """Another process holds the lock."""
