"""The page of a candidate of a search: its results in cross-validation on the training images."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from zoo.data import ImageData
from zoo.evaluation.metrics import compute_metrics
from zoo.evaluation.predictions import Predictions
from zoo.images import ImageError, load_image
from zoo.report import plots
from zoo.report.findings import read_mistakes
from zoo.report.grids import Picture
from zoo.report.page import draw_chart, write_page
from zoo.searching.candidate import Outcome


def write_candidate_page(outcome: Outcome, predictions: Predictions, data: ImageData, path: Path) -> None:
    """Writes the page.

    Args:
        outcome: The candidate and its figures.
        predictions: Predictions of the first repeat, in the order of the images of ``data``.
        data: The images of the cross-validation.
        path: Path of the page.
    """

    def load(file: str) -> Picture:
        try:
            return load_image(data.root / file, outcome.candidate.image)
        except (OSError, ImageError):
            return None

    metrics = compute_metrics(predictions)
    draw = partial(plots.plot_confusion, metrics.confusion_matrix or (), predictions.labels)
    write_page(
        path,
        "candidate",
        candidate=outcome.candidate,
        cost=outcome.cost,
        judged=outcome.judged,
        metrics=metrics,
        labels=predictions.labels,
        mistakes=read_mistakes(predictions, load),
        mistakes_in_all=int((~predictions.correct).sum()),
        confusion=draw_chart(draw),
    )
