"""Passes the progress of a process on another machine to the reporter of the command."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from zoo.reporter import Reporter

#: Name and arguments of a call of a reporter.
Report = tuple[Any, ...]
#: Minimum seconds between two reports on finished items or batches.
_EVERY_S = 0.1


class Forwarded(Reporter):
    """Passes every call on. Counters and batches are passed on only ten times a second.

    Args:
        send: Receives the calls.
    """

    def __init__(self, send: Callable[[Report], None]) -> None:
        self._send = send
        self._due_s = 0.0

    def stage(self, text: str) -> None:
        self._send(("stage", text))

    def note(self, text: str) -> None:
        self._send(("note", text))

    def warning(self, text: str) -> None:
        self._send(("warning", text))

    def counter(self, text: str) -> Callable[[int, int], None]:
        self._send(("counter", text))

        def count(done: int, total: int) -> None:
            if self._due() or done >= total:
                self._send(("count", text, done, total))

        return count

    def training(self, epochs: int, steps: int, images: int, first_epoch: int, head: bool = False) -> None:
        self._send(("training", epochs, steps, images, first_epoch, head))

    def batch(self, step: int, logs: Mapping[str, float]) -> None:
        if self._due():
            self._send(("batch", step, {name: float(value) for name, value in logs.items()}))

    def epoch(self, epoch: int, row: Mapping[str, float], best: bool) -> None:
        self._send(("epoch", epoch, dict(row), best))

    def trained(self) -> None:
        self._send(("trained",))

    def _due(self) -> bool:
        now = time.monotonic()
        if now < self._due_s:
            return False
        self._due_s = now + _EVERY_S
        return True


class Shown:
    """Repeats the calls that ``Forwarded`` has passed on.

    Args:
        reporter: Receives them.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._counters: dict[str, Callable[[int, int], None]] = {}

    def __call__(self, report: Report) -> None:
        name, *values = report
        if name == "counter":
            self._counters[values[0]] = self._reporter.counter(values[0])
        elif name == "count":
            text, done, total = values
            self._counters[text](done, total)
        else:
            getattr(self._reporter, name)(*values)
