"""Evaluates a trained model and stores the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.atomic import make_folder, write_json
from zoo.data import TEST, ImageData
from zoo.evaluation.metrics import compute_metrics
from zoo.evaluation.predict import Copies, predict_with_features
from zoo.evaluation.threshold import Choice
from zoo.run_folder.info import Metrics

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Measured:
    """The result of an evaluation.

    Args:
        metrics: The content of ``metrics.json``.
        features: Inputs of the last layer, one row for each row of ``predictions.csv``. ``None`` if they are not one
            vector per image, or too many to keep.
    """

    metrics: Metrics
    features: NDArray[np.float32] | None


def evaluate(
    model: keras.Model,
    data: ImageData,
    folder: Path,
    train_counts: Mapping[str, int] | None,
    progress: Callable[[int, int], None] | None = None,
    choice: Choice | None = None,
    copies: Copies | None = None,
) -> Measured:
    """Predicts the test images of ``data`` and computes the metrics.

    Writes ``predictions.csv`` and then ``metrics.json`` into ``folder``.

    Args:
        model: A model with outputs for ``data.labels``, in order.
        data: The images.
        folder: The run folder for a run's own test images, otherwise another folder for the results.
        train_counts: Number of training images by class, if known.
        progress: Called with images done and images to do.
        choice: Confidence thresholds that were chosen on other images. ``None`` if there are none.
        copies: Copies of the model that predict the images on other machines.

    Raises:
        DataError: There are no test images.
    """
    predictions, features = predict_with_features(model, data, TEST, progress, copies)
    metrics = compute_metrics(predictions, train_counts, choice)
    make_folder(folder)
    predictions.write_csv(folder / "predictions.csv")
    write_json(folder / "metrics.json", metrics.as_dict())
    return Measured(metrics, features)
