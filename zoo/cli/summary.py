"""Results in one line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zoo.evaluation.metric import defined
from zoo.figures import percent, points
from zoo.run_folder import Run
from zoo.run_folder.info import Metrics
from zoo.table import Column, table, wrap
from zoo.terminal import readable


def told_of_run(run: Run) -> list[str]:
    """One line for a finished run, and others on its weaknesses and on test images that have near-duplicates."""
    leaks, head = run.info.leaks, run.info.head
    lines = [str(run.metrics), *weaknesses(run.metrics)]
    if head and head.lacking:
        lines.append(readable(head.lacking))
    if leaks is None:
        return lines
    if leaks.accuracy_without is None:
        return [
            *lines,
            "Every test image has a near-duplicate in train or val, so the accuracy on new images is unknown.",
        ]
    change = points(leaks.accuracy_without - run.metrics.accuracy)
    return [
        *lines,
        f"Without the {leaks.test_images} test images that have a near-duplicate in train or val:"
        f" {percent(leaks.accuracy_without)} on {leaks.n} images ({change} points).",
    ]


def weaknesses(metrics: Metrics) -> Iterator[str]:
    """Yields a warning if the accuracy may be due to chance, and the class with the lowest recall."""
    if metrics.against_baseline == "unsure":
        yield f"This result is not significantly better than always predicting '{readable(metrics.majority_class)}'."
    if weakest := metrics.weakest_class:
        yield f"Weakest class: {readable(weakest.label)}, {weakest.found}."


def run_as_dict(run: Run) -> dict[str, Any]:
    """The JSON output for a finished run: its folder, its accuracy and its settings."""
    return {"run": str(run.path), "metrics": run.metrics.as_dict(), "info": run.info.as_dict()}


_CLASSES = (
    Column("class", "name"),
    Column("precision", rank=2),
    Column("recall"),
    Column("f1", rank=3),
    Column("images", rank=1),
)


def per_class_lines(metrics: Metrics, most: int = 20, width: int | None = None) -> list[str]:
    """Precision, recall and F1 of each class, weakest first; then the overall figures."""
    rows = sorted((row for row in metrics.per_class if row.support), key=lambda row: row.f1 or 0.0)
    cells = []
    for row in rows[:most]:
        values = ("-" if value is None else f"{value:.3f}" for value in (row.precision, row.recall, row.f1))
        cells.append((row.label, *values, str(row.support)))
    lines = [table(_CLASSES, cells, width, "  ")]
    if len(rows) > most:
        lines.append(f"  and {len(rows) - most} more classes in metrics.json")
    overall = ", ".join(f"{metric.title} {metric.format(value)}" for metric, value in defined(metrics))
    return [*lines, *(f"  {line}" for line in wrap(overall, width and width - 2))]
