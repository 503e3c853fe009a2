"""Work for the machines of a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from tests.searching.shares import make_engine
from zoo.errors import UsageError
from zoo.workflows.search_cluster import trials_of


def upper_case(threads: int) -> Callable[[bytes], bytes]:
    """Maps text to upper case. Some words cause a failure."""

    def work(item: bytes) -> bytes:
        if item == b"die":
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory runs out
        if item == b"refuse":
            raise UsageError("Refused.", "Try again.")
        if item == b"fail":
            raise RuntimeError("a fault in the code")
        return item.upper()

    return work


def trials(folder: Path, waits_at: str, threads: int) -> Callable[[bytes], bytes]:
    """Tries the candidates of a search in a folder. The first worker on ``waits_at`` waits until it is killed."""
    return trials_of(make_engine(folder, waits_at))
