"""How much memory this process takes."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Growth:
    """Bytes by which the resident memory rose at its highest; 0 until the block has ended."""

    bytes: int = 0


@contextmanager
def peak_growth_bytes() -> Iterator[Growth]:
    """Measures what a block takes beyond what was taken before.

    Where the system cannot begin a new peak (anywhere but Linux), what the process once took before counts as taken,
    and the figure may be too small.
    """
    grown = Growth()
    before = _begin_peak()
    yield grown
    grown.bytes = max(0, _peak() - before)


def _begin_peak() -> int:
    with suppress(OSError):
        _CLEAR.write_text("5")  # proc(5): resets VmHWM to what is resident now
    return _peak()


def _peak() -> int:
    try:
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
