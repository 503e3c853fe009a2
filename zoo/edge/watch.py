"""Yields images as they appear in a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from zoo.errors import DataError

#: Seconds between two looks at the folder. A file is complete if it did not change between them.
POLL_S = 0.2

# Size in bytes, and time of the last change in nanoseconds.
_State = tuple[int, int]


def watched(folder: Path, wait: Callable[[float], None] = time.sleep) -> Iterator[tuple[str, Path]]:
    """Yields name and path of every new or replaced file in a folder, without end.

    Files that existed before, hidden files and subfolders are ignored. Polling works on every system and on shared
    folders, where system notifications do not work.

    Args:
        folder: The folder to watch.
        wait: Waits the given number of seconds.

    Raises:
        DataError: The folder does not exist, or is removed.
    """
    return _new(folder, _look(folder), wait)


def _new(folder: Path, known: dict[str, _State], wait: Callable[[float], None]) -> Iterator[tuple[str, Path]]:
    before = dict(known)
    while True:
        wait(POLL_S)
        now = _look(folder)
        for name, state in sorted(now.items()):
            # `known` contains only files that were yielded, so that a file that is still growing is checked again.
            if state != known.get(name) and state == before.get(name):
                known[name] = state
                path = folder / name
                yield str(path), path
        known = {name: state for name, state in known.items() if name in now}
        before = now


def _look(folder: Path) -> dict[str, _State]:
    found: dict[str, _State] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    status = entry.stat()
                    if entry.is_file():
                        found[entry.name] = (status.st_size, status.st_mtime_ns)
                except OSError:
                    continue  # removed in the meantime
    except OSError as error:
        raise DataError(f"Cannot watch '{folder}': {error.strerror}.") from error
    return found
