"""Measuring a trained run, and keeping what came out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data import TEST, TRAIN, ImageData
from zoo.evaluation.metrics import compute_metrics
from zoo.evaluation.predict import predict_split
from zoo.runs import Run
from zoo.runs.atomic import make_folder, write_json

if TYPE_CHECKING:
    import keras


def evaluate_run(
    run: Run,
    model: keras.Model,
    data: ImageData,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The model's answers on the test images of ``data``, and the figures they give.

    Writes ``predictions.csv`` and then ``metrics.json``, into the run or, for other data, into ``folder``.

    Returns:
        The content of ``metrics.json``; see ``compute_metrics``.

    Raises:
        DataError: There are no test images.
    """
    predictions = predict_split(model, data, TEST, progress)
    metrics = compute_metrics(predictions, run.info["data"]["counts"][TRAIN])
    metrics["split"] = TEST
    target = folder or run.path
    make_folder(target)
    predictions.write_csv(target / "predictions.csv")
    write_json(target / "metrics.json", metrics)
    return metrics
