"""The figures of ``metrics.json``, all of them from the answers alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from zoo.errors import DataError
from zoo.evaluation.intervals import wilson_interval
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.threshold import Choice, suggest_threshold
from zoo.evaluation.warnings import model_warnings
from zoo.run_folder.info import Bin, ClassMetrics, Confused, Metrics

#: Bins of the reliability diagram, of equal width, closed on the right (Guo et al. 2017).
CALIBRATION_BINS = 15
#: Probabilities are clipped to [clip, 1 - clip] before the logarithm: one float32 zero must not make the loss infinite.
LOG_LOSS_CLIP = float(np.finfo(np.float32).eps)
#: Answers that top-k accuracy looks at, for tasks with more classes than the largest of them.
TOP_K = (3, 5)
_MOST_CONFUSED = 20


def compute_metrics(
    predictions: Predictions, train_counts: Mapping[str, int] | None = None, choice: Choice | None = None
) -> Metrics:
    """The figures of predictions on labelled images; ``Metrics`` says what each is.

    Args:
        predictions: Answers on the test images, at least one.
        train_counts: Class name to training images, for ``per_class``; ``None``: not known.
        choice: Thresholds that the validation images chose; ``None``: each half of these images chooses for the other.

    Raises:
        DataError: There are no test images.
    """
    n, k = predictions.probabilities.shape
    if n == 0:
        raise DataError("There are no test images, so there is nothing to measure.", "Add images to the test split.")
    right = int(predictions.correct.sum())
    confusion = np.zeros((k, k), np.int64)
    np.add.at(confusion, (predictions.true, predictions.predicted), 1)
    per_class = _per_class(predictions, train_counts)
    tested = [row for row in per_class if row.support]
    return Metrics(
        n=n,
        classes=k,
        accuracy=right / n,
        accuracy_interval=wilson_interval(right, n),
        **_majority(predictions),
        macro_f1=float(np.mean([row.f1 or 0.0 for row in tested])),
        balanced_accuracy=float(np.mean([row.recall or 0.0 for row in tested])),
        evaluated_classes=len(tested),
        top_k_accuracy=_top_k(predictions) if k > max(TOP_K) else None,
        log_loss=_log_loss(predictions),
        log_loss_clip=LOG_LOSS_CLIP,
        mean_confidence=float(predictions.confidence.astype(np.float64).mean()),
        **_calibration(predictions),
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


def _top_k(predictions: Predictions) -> dict[str, float]:
    true = predictions.true[:, None]
    of_true = np.take_along_axis(predictions.probabilities, true, axis=1)
    earlier = np.arange(len(predictions.labels)) < true
    ahead = (predictions.probabilities > of_true) | ((predictions.probabilities == of_true) & earlier)
    rank = ahead.sum(axis=1)
    return {str(k): float(np.mean(rank < k)) for k in TOP_K}


def _log_loss(predictions: Predictions) -> float:
    of_true = predictions.probabilities[np.arange(len(predictions)), predictions.true].astype(np.float64)
    return float(-np.log(np.clip(of_true, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)).mean())


def _calibration(predictions: Predictions) -> dict[str, Any]:
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    confidence = predictions.confidence.astype(np.float64)
    place = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, CALIBRATION_BINS - 1)
    counts = np.bincount(place, minlength=CALIBRATION_BINS)
    confidences = _means(confidence, place, counts)
    accuracies = _means(predictions.correct.astype(np.float64), place, counts)
    gaps = np.abs(confidences - accuracies)
    bins = tuple(
        Bin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            count=int(counts[index]),
            confidence=float(confidences[index]) if counts[index] else None,
            accuracy=float(accuracies[index]) if counts[index] else None,
        )
        for index in range(CALIBRATION_BINS)
    )
    return {
        "expected_calibration_error": float((gaps * counts).sum() / counts.sum()),
        "calibration_bins": bins,
    }


def _means(
    values: npt.NDArray[np.float64], place: npt.NDArray[np.intp], counts: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Mean of the values in each bin, 0 where it is empty."""
    return np.bincount(place, weights=values, minlength=len(counts)) / np.maximum(counts, 1)


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
