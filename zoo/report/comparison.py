"""The page of ``zoo compare --html``: runs, the tests of their differences, and means over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

from zoo.evaluation import metric
from zoo.evaluation.compare import Comparison
from zoo.report.page import Column, write_page
from zoo.report.text import capital

#: Both ends of the axis of accuracies are multiples of this share.
_STEP = 0.05


def write_comparison_page(found: Comparison, path: Path) -> Path:
    """Writes the page.

    Args:
        found: The comparison.
        path: Path of the page. The folder is created if it does not exist.

    Returns:
        ``path``.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    low, high = _ends(found)
    most = max((abs(end) for pair in found.pairs for end in pair.interval), default=0.0) or 1.0
    measured = [each for each in metric.METRICS if any(run.scalars[each.name] is not None for run in found.runs)]
    return write_page(
        path,
        "compare",
        found=found,
        best=found.runs[0],
        closest=next(iter(found.against_best), None),
        axis=(low, high),
        on_axis=_scaled(low, high),
        of_differences=_scaled(-most, most),
        measured=measured,
        columns_of_metrics=[Column(capital(each.title), each.meaning) for each in measured],
    )


def _ends(found: Comparison) -> tuple[float, float]:
    """The range of accuracies that the page shows."""
    ends: Iterable[float] = [end for run in found.runs for end in (*run.accuracy_interval, run.accuracy)]
    low = math.floor(min(ends) / _STEP + 1e-9) * _STEP
    return max(0.0, low), min(1.0, max(low + _STEP, math.ceil(max(ends) / _STEP - 1e-9) * _STEP))


def _scaled(low: float, high: float) -> Callable[[float], float]:
    """A function that maps ``low`` to 0 and ``high`` to 1."""
    return lambda value: (value - low) / (high - low)
