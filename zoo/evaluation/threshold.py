"""From which confidence on an answer is worth giving: below it, a model should say that it does not know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.evaluation.predictions import Predictions

#: Of the answers that are given, this share shall be right.
TARGET_ACCURACY = 0.99

#: Of the images that it was measured on, this share falls below the threshold at least: what a model is less sure of
#: than of nearly all these is probably something else.
LEAST_REJECTED = 0.01

#: A threshold that fewer images than this reach says nothing.
FEWEST_ANSWERS = 20


@dataclass(frozen=True)
class Threshold:
    """The lowest confidence at which answers are right often enough, and what it costs.

    Args:
        suggested: Probability of the likeliest class below which the answer should be "unknown", 0 to 1.
        target_accuracy: Share of right answers that was asked for.
        coverage: Share of the images that get an answer.
        accuracy: Share of right answers among those.
        images: Number of images it was found on.
    """

    suggested: float
    target_accuracy: float
    coverage: float
    accuracy: float
    images: int


def suggest_threshold(predictions: Predictions) -> Threshold | None:
    """The threshold that a model's answers on images it never saw suggest.

    The lowest at which ``TARGET_ACCURACY`` of the answers are right (selective classification, El-Yaniv and Wiener
    2010), and no lower than what ``LEAST_REJECTED`` of the images fall below.

    Returns:
        ``None`` where fewer than ``FEWEST_ANSWERS`` images would get an answer.
    """
    confidence = np.sort(predictions.confidence.astype(np.float64))[::-1]
    right = predictions.correct[np.argsort(-predictions.confidence, kind="stable")]
    accuracy = np.cumsum(right) / np.arange(1, len(right) + 1)
    # Images of one confidence are answered together or not at all.
    ends = np.append(confidence[1:] < confidence[:-1], True)
    enough = confidence >= np.quantile(confidence, LEAST_REJECTED)
    fits = np.flatnonzero(ends & enough & (accuracy >= TARGET_ACCURACY))
    if not len(fits) or (answered := int(fits[-1]) + 1) < FEWEST_ANSWERS:
        return None
    suggested = float(confidence[answered - 1])
    rounded = float(np.floor(suggested * 1e4) / 1e4)
    # Near 1 confidences lie closer together than that: no image more may be answered.
    if answered == len(right) or confidence[answered] < rounded:
        suggested = rounded
    return Threshold(suggested, TARGET_ACCURACY, answered / len(right), float(accuracy[answered - 1]), len(right))
