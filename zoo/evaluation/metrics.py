"""Computes the metrics of ``metrics.json`` from predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo.evaluation.intervals import wilson_interval
from zoo.evaluation.metric import LOG_LOSS_CLIP, calibration_bins, compute_scalars
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.threshold import Choice, suggest_threshold
from zoo.evaluation.warnings import model_warnings
from zoo.run_folder.info import ClassMetrics, Confused, Metrics

_MOST_CONFUSED = 20


def compute_metrics(
    predictions: Predictions, train_counts: Mapping[str, int] | None = None, choice: Choice | None = None
) -> Metrics:
    """Computes the metrics of predictions on labelled images. ``Metrics`` documents each.

    Args:
        predictions: Predictions on the test images, at least one.
        train_counts: Number of training images by class, for ``per_class``. ``None``: unknown.
        choice: Thresholds chosen on the validation images. ``None``: each half of these images is used to choose the
            thresholds for the other half.

    Raises:
        DataError: There are no test images.
    """
    n, k = predictions.probabilities.shape
    if n == 0:
        raise DataError("There are no test images to evaluate.", "Add images to the test split.")
    right = int(predictions.correct.sum())
    confusion = np.zeros((k, k), np.int64)
    np.add.at(confusion, (predictions.true, predictions.predicted), 1)
    per_class = _per_class(predictions, train_counts)
    return Metrics(
        n=n,
        classes=k,
        accuracy=right / n,
        accuracy_interval=wilson_interval(right, n),
        **_majority(predictions),
        evaluated_classes=sum(row.support > 0 for row in per_class),
        scalars=compute_scalars(predictions),
        log_loss_clip=LOG_LOSS_CLIP,
        mean_confidence=float(predictions.confidence.astype(np.float64).mean()),
        calibration_bins=calibration_bins(predictions),
        min_confidence=suggest_threshold(predictions, choice),
        warnings=model_warnings(predictions),
        per_class=per_class,
        confusion_matrix=tuple(map(tuple, confusion.tolist())),
        most_confused=_most_confused(predictions.labels, confusion),
    )


def _majority(predictions: Predictions) -> dict[str, Any]:
    counts = np.bincount(predictions.true)
    most = int(np.argmax(counts))
    return {
        "majority_class": predictions.labels[most],
        "majority_class_baseline": float(counts[most] / len(predictions)),
    }


def _per_class(predictions: Predictions, train_counts: Mapping[str, int] | None) -> tuple[ClassMetrics, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, support = precision_recall_fscore_support(
        predictions.true, predictions.predicted, labels=range(len(predictions.labels)), zero_division=np.nan
    )
    predicted = np.bincount(predictions.predicted, minlength=len(predictions.labels))

    def known(value: float, index: int) -> float | None:
        return None if support[index] == 0 or np.isnan(value) else float(value)

    return tuple(
        ClassMetrics(
            label=label,
            train_images=int(train_counts.get(label, 0)) if train_counts is not None else None,
            support=int(support[index]),
            predicted=int(predicted[index]),
            precision=known(precision[index], index),
            recall=known(recall[index], index),
            f1=known(f1[index], index),
        )
        for index, label in enumerate(predictions.labels)
    )


def _most_confused(labels: tuple[str, ...], confusion: npt.NDArray[np.int64]) -> tuple[Confused, ...]:
    mistakes = confusion.copy()
    np.fill_diagonal(mistakes, 0)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_MOST_CONFUSED]
    found = [(int(index) // len(labels), int(index) % len(labels)) for index in order]
    return tuple(
        Confused(true=labels[true], predicted=labels[predicted], count=int(mistakes[true, predicted]))
        for true, predicted in found
        if mistakes[true, predicted]
    )
