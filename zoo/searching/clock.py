"""The time budget of a search: the time used by all its commands, and the remaining time."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

from zoo.atomic import write_json
from zoo.errors import UsageError
from zoo.records import read_object


class Clock:
    """Counts the time over all commands. The time of two commands that run in parallel is counted once.

    Args:
        path: The file that stores the time.
        limit_s: Seconds for the whole search.
    """

    def __init__(self, path: Path, limit_s: float) -> None:
        self._path = path
        self._limit_s = limit_s
        self._before_s = self._kept()
        self._start = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return self._before_s + time.monotonic() - self._start

    @property
    def left_s(self) -> float:
        return self._limit_s - self.elapsed_s

    def keep(self) -> None:
        """Stores the time for later commands."""
        write_json(self._path, {"elapsed_s": round(max(self.elapsed_s, self._kept()), 1)})

    def _kept(self) -> float:
        try:
            value = float(read_object(self._path.read_bytes())["elapsed_s"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0  # the first command, or a damaged file; in that case the search only gets more time
        return value if 0 <= value < math.inf else 0.0


def as_minutes(seconds: float) -> str:
    """``4:05``.

    >>> as_minutes(245.0)
    '4:05'
    """
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def read_time(text: str) -> float:
    """``10m``, ``90s``, ``1h`` or ``1h30m`` in seconds.

    Raises:
        UsageError: The text has another form.

    >>> read_time("1h30m")
    5400.0
    """
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        raise UsageError(f"--time must be a duration such as 10m, 90s or 1h30m. Received: {text!r}.")
    return sum(float(number) * units[unit] for number, unit in parts)
