"""The report of a candidate of a search: what cross-validation on the training images found."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data import ImageData
from zoo.evaluation.metrics import compute_metrics
from zoo.evaluation.predictions import Predictions
from zoo.report import plots
from zoo.report.grids import MOST_MISTAKES
from zoo.report.markup import Column, bar, chart, esc, key_figures, name, section, table, tile, tiles
from zoo.report.page import write_page
from zoo.report.text import number, percent, plural, thousands
from zoo.run_folder.info import Metrics
from zoo.searching.candidate import Judged, Outcome


def write_candidate_page(outcome: Outcome, predictions: Predictions, data: ImageData, path: Path) -> None:
    """Writes the page.

    Args:
        outcome: With its figures.
        predictions: Of the first repeat, in the order of the images of ``data``.
        data: The images that chose.
        path: Of the page.
    """
    judged = outcome.judged
    assert judged is not None
    metrics = compute_metrics(predictions)
    low, high = map(percent, judged.accuracy_interval)
    write_page(
        path,
        title=str(outcome.candidate),
        heading=name(outcome.candidate.architecture),
        run="A candidate of a search",
        verdict=(
            f"In cross-validation on {plural(judged.n, 'training image')} it is right on"
            f" <strong>{percent(judged.accuracy)}</strong> (95&nbsp;% interval {low} to {high}), the mean of"
            f" {plural(judged.repeats, 'repeat')}. The figures below are of the first. No test image was used."
        ),
        key_figures=_key_figures(outcome, judged, metrics),
        sections=(_mistakes(outcome, predictions, data), _per_class(metrics), _confusion(metrics, predictions.labels)),
    )


def _key_figures(outcome: Outcome, judged: Judged, metrics: Metrics) -> str:
    shown = (
        ("Accuracy", percent(judged.accuracy), f"mean of {judged.repeats} repeats of {judged.folds} folds"),
        ("Macro F1", number(metrics.scalars.get("macro_f1")), "of the first repeat"),
        ("Brier score", f"{judged.brier_score:.4f}", "squared error of the probabilities"),
        ("Latency", f"{outcome.cost.latency_ms:.2f}&nbsp;ms", "one image, one thread"),
        ("File size", f"{outcome.cost.size_mb:.2f}&nbsp;MB", "exported"),
        (
            "Images",
            esc(f"{outcome.candidate.image.width_px}x{outcome.candidate.image.height_px}"),
            outcome.candidate.image.resize,
        ),
    )
    return key_figures((title, value, esc(note)) for title, value, note in shown)


def _mistakes(outcome: Outcome, predictions: Predictions, data: ImageData) -> str:
    from zoo.images import ImageError, load_image

    wrong = np.flatnonzero(~predictions.correct)
    worst = wrong[np.argsort(-predictions.confidence[wrong], kind="stable")][:MOST_MISTAKES]
    shown = []
    for row in worst.tolist():
        try:
            picture = load_image(data.root / predictions.files[row], outcome.candidate.image)
        except (OSError, ImageError):
            picture = None
        true = predictions.labels[int(predictions.true[row])]
        predicted = predictions.labels[int(predictions.predicted[row])]
        confidence = percent(float(predictions.confidence[row]), 0)
        shown.append(
            tile(
                picture,
                f"{predictions.files[row]}: {true}, predicted {predicted}",
                f"<b>{name(predicted)}</b> <span class='confidence'>{confidence}</span>",
                f"is {name(true)}",
                f"<span class='file'>{name(predictions.files[row])}</span>",
            )
        )
    intro = f"<p>{plural(len(wrong), 'wrong prediction')}, the most confident first.</p>"
    return section("mistakes", "Wrong predictions", intro, tiles(shown, "mistakes") if shown else "")


def _per_class(metrics: Metrics) -> str:
    columns = (
        Column("Class", figures=False),
        Column("Recall", "Share of the images of this class that are found"),
        Column("Precision", "Share of the predictions of this class that are right"),
        Column("F1", "Harmonic mean of precision and recall"),
        Column("Training images", "Images of this class"),
    )
    rows = sorted(metrics.per_class, key=lambda row: 2.0 if row.f1 is None else row.f1)
    cells = (
        (
            name(row.label),
            bar(row.recall, percent(row.recall)),
            bar(row.precision, percent(row.precision)),
            number(row.f1),
            thousands(row.support),
        )
        for row in rows
    )
    return section("classes", "Class by class", table("Figures of each class", columns, cells, quiet=True))


def _confusion(metrics: Metrics, labels: tuple[str, ...]) -> str:
    matrix = metrics.confusion_matrix or ()
    figure = chart(
        lambda target, theme: plots.plot_confusion(matrix, labels, target, theme=theme),
        f"Confusion matrix of {len(labels)} classes.",
        "Rows are the true classes, columns the predictions.",
    )
    return section("confusion", "Confusion matrix", figure)
