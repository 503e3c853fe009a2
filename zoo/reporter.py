"""What long work tells whoever watches. ``zoo.progress`` draws it; this one says nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

#: Those that show a bar at the moment.
drawing: set[Reporter] = set()


def close_bars() -> None:
    """Takes every bar away: after an interrupt or an error, nobody else does."""
    for reporter in list(drawing):
        reporter.trained()


class Reporter:
    """Receives what happens; every method may be left as it is."""

    def stage(self, text: str) -> None:
        """A new stage of the work begins."""

    def note(self, text: str) -> None:
        """Something the user should read."""

    def warning(self, text: str) -> None:
        """Something the user must read: a result may be of no use."""

    def counter(self, text: str) -> Callable[[int, int], None]:
        """A function to call with items done and items to do, while a stage counts."""
        return lambda done, total: None

    def training(self, epochs: int, steps: int, images: int, first_epoch: int, head: bool = False) -> None:
        """Training begins.

        Args:
            epochs: Most epochs in all.
            steps: Batches an epoch.
            images: Images an epoch.
            first_epoch: Epochs already done, when resumed.
            head: Whether a head alone is trained, on features: its many short epochs are of little interest.
        """

    def batch(self, step: int, logs: Mapping[str, float]) -> None:
        """A batch is done; ``step`` counts from 1."""

    def epoch(self, epoch: int, row: Mapping[str, float], best: bool) -> None:
        """An epoch is done; ``epoch`` counts from 1, ``row`` is its row of the history."""

    def trained(self) -> None:
        """Training is over."""
