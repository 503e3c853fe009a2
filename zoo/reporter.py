"""The interface for progress and messages of long operations.

``zoo.progress`` displays them; the base class is silent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

#: Receives a sentence for the user, such as ``Reporter.stage``.
Say = Callable[[str], None]

#: Reporters that currently show a progress bar.
drawing: set[Reporter] = set()


def close_bars() -> None:
    """Removes all progress bars, after an interruption or an error."""
    for reporter in list(drawing):
        reporter.trained()


class Slow:
    """Says how far an operation is that is usually fast: after a second, and then every 15 seconds.

    Args:
        text: The sentence, with ``{}`` for the number of finished items.
        say: Receives the sentence. ``None``: nothing is said.
    """

    def __init__(self, text: str, say: Say | None) -> None:
        self._text, self._say = text, say
        self._done = 0
        self._due = time.monotonic() + 1

    def tick(self) -> None:
        """Called after each item."""
        self._done += 1
        if self._say and time.monotonic() >= self._due:
            self._due = time.monotonic() + 15
            self._say(self._text.format(self._done))


class Reporter:
    """Receives progress and messages. Subclasses may override any method."""

    def stage(self, text: str) -> None:
        """Called when a new stage of the work begins."""

    def note(self, text: str) -> None:
        """Called with a message that the user should read."""

    def warning(self, text: str) -> None:
        """Called with a message that the user must read, because a result may be unusable."""

    def counter(self, text: str) -> Callable[[int, int], None]:
        """Returns a function to be called during a stage with the number of finished items and the total number."""
        return lambda done, total: None

    def training(self, epochs: int, steps: int, images: int, first_epoch: int, head: bool = False) -> None:
        """Called when training begins.

        Args:
            epochs: Maximum number of epochs in total.
            steps: Number of batches per epoch.
            images: Number of images per epoch.
            first_epoch: Number of epochs already done in a resumed run.
            head: Whether only a head is trained, on features. Its many short epochs may be shown in less detail.
        """

    def batch(self, step: int, logs: Mapping[str, float]) -> None:
        """Called after a batch. ``step`` starts at 1."""

    def epoch(self, epoch: int, row: Mapping[str, float], best: bool) -> None:
        """Called after an epoch. ``epoch`` starts at 1, and ``row`` is its row of the history."""

    def trained(self) -> None:
        """Called when training is finished."""
