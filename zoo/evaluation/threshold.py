"""Confidence thresholds: below the threshold, a prediction should be "unknown".

The thresholds are chosen on the validation images and evaluated on the test images. Without validation images, the
threshold of each half of the test images is chosen on the other half.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.evaluation.predictions import Predictions
from zoo.run_folder.info import Point, Threshold

#: Target accuracies of the curve. Those that a model reaches without a threshold are left out.
TARGETS = (0.9, 0.95, 0.98, 0.99, 0.995)

#: The suggested threshold reaches this accuracy, or halves the errors if that leaves fewer images unknown
#: (docs/decisions/0008-confidence.md).
TARGET_ACCURACY = 0.99

#: Minimum share of images below the threshold, among the images on which it is chosen. An image with a lower confidence
#: than nearly all of these images probably shows something else.
LEAST_REJECTED = 0.01

#: Minimum number of images above a threshold.
FEWEST_KEPT = 20


@dataclass(frozen=True)
class Choice:
    """Thresholds and the images on which they were chosen.

    Args:
        default: Target accuracy and its threshold.
        others: Target accuracies and thresholds of the curve.
        images: Number of images used to choose the thresholds.
        by: ``val`` for validation images; ``folds`` for training images, each predicted by a model that was not
            trained on it.
    """

    default: tuple[float, float]
    others: tuple[tuple[float, float], ...]
    images: int
    by: Literal["val", "folds"] = "val"


def choose(predictions: Predictions, by: Literal["val", "folds"] = "val") -> Choice | None:
    """Chooses thresholds from predictions on images that were not used to train the model.

    Each is the lowest threshold at which the accuracy of the accepted predictions reaches the target (selective
    classification, El-Yaniv and Wiener 2010), but it rejects at least a share ``LEAST_REJECTED`` of the images.

    Returns:
        ``None`` if fewer than ``FEWEST_KEPT`` images would be accepted.
    """
    if not len(predictions):
        return None
    plain = float(predictions.correct.mean())
    target = min(TARGET_ACCURACY, (1 + plain) / 2)
    default = lowest_threshold(predictions, target)
    if default is None:
        return None
    found = [(wanted, lowest_threshold(predictions, wanted)) for wanted in TARGETS if wanted > plain]
    others = tuple((wanted, threshold) for wanted, threshold in found if threshold is not None)
    return Choice((target, default), others, len(predictions), by)


def suggest_threshold(predictions: Predictions, choice: Choice | None = None) -> Threshold | None:
    """Evaluates thresholds on images that were not used to choose them.

    Args:
        predictions: Predictions on the images for the evaluation.
        choice: Thresholds from other images. ``None``: the threshold of each half is chosen on the other half.

    Returns:
        ``None`` if no threshold could be chosen, or no image would be accepted.
    """
    chosen_on = choice.by if choice else "halves"
    measured = [(choice, np.ones(len(predictions), bool))]
    if choice is None:
        choice = choose(predictions)
        halves = (predictions.first_half, ~predictions.first_half)
        measured = [(choose(_part(predictions, ~half)), half) for half in halves]
    if choice is None or any(part is None for part, _ in measured):
        return None
    parts = [(part, half) for part, half in measured if part is not None]
    point = _measure(predictions, choice.default, [(part.default[1], half) for part, half in parts])
    if point.accuracy is None:
        return None
    curve = []
    for wanted, threshold in choice.others:
        applied = [(dict(part.others).get(wanted), half) for part, half in parts]
        if all(least is not None for least, _ in applied):
            curve.append(_measure(predictions, (wanted, threshold), [(least or 0.0, half) for least, half in applied]))
    return Threshold(
        target_accuracy=point.target_accuracy,
        suggested=point.suggested,
        coverage=point.coverage,
        accuracy=point.accuracy,
        images=len(predictions),
        chosen_on=chosen_on,
        chosen_images=choice.images,
        curve=tuple(curve),
    )


def _measure(
    predictions: Predictions, chosen: tuple[float, float], applied: list[tuple[float, NDArray[np.bool_]]]
) -> Point:
    kept = np.zeros(len(predictions), bool)
    for least, images in applied:
        kept |= images & (predictions.confidence >= least)
    accuracy = float(predictions.correct[kept].mean()) if kept.any() else None
    target_accuracy, suggested = chosen
    return Point(target_accuracy=target_accuracy, suggested=suggested, coverage=float(kept.mean()), accuracy=accuracy)


def _part(predictions: Predictions, images: NDArray[np.bool_]) -> Predictions:
    files = tuple(file for file, taken in zip(predictions.files, images, strict=True) if taken)
    return replace(
        predictions, files=files, true=predictions.true[images], probabilities=predictions.probabilities[images]
    )


def lowest_threshold(predictions: Predictions, target: float) -> float | None:
    """The lowest threshold at which the accuracy of the accepted predictions reaches this share."""
    confidence = np.sort(predictions.confidence.astype(np.float64))[::-1]
    right = predictions.correct[np.argsort(-predictions.confidence, kind="stable")]
    accuracy = np.cumsum(right) / np.arange(1, len(right) + 1)
    # Images of equal confidence are on the same side of the threshold.
    ends = np.append(confidence[1:] < confidence[:-1], True)
    enough = confidence >= np.quantile(confidence, LEAST_REJECTED)
    fits = np.flatnonzero(ends & enough & (accuracy >= target))
    if not len(fits) or (kept := int(fits[-1]) + 1) < FEWEST_KEPT:
        return None
    suggested = float(confidence[kept - 1])
    rounded = float(np.floor(suggested * 1e4) / 1e4)
    # Confidences near 1 can be closer together than the rounding. No further image may be above the threshold.
    return rounded if kept == len(right) or confidence[kept] < rounded else suggested
