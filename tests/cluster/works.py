"""Work for the machines of a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from zoo.errors import UsageError


def upper_case(threads: int) -> Callable[[bytes], bytes]:
    """Maps text to upper case. Some words do what can go wrong."""

    def work(item: bytes) -> bytes:
        if item == b"die":
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory runs out
        if item == b"refuse":
            raise UsageError("Refused.", "Try again.")
        if item == b"fail":
            raise RuntimeError("a fault in the code")
        return item.upper()

    return work
