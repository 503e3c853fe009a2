"""Calibrates a linear head: fits a factor for its scores, and measures the quality of the probabilities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.training.heads.linear import Floats


def fit_factor(scores: Floats, classes: NDArray[np.int64]) -> float:
    """The factor with which softmax(factor * scores) fits the classes best.

    The targets are those of Platt (1999, "Probabilistic outputs for support vector machines"): each of n images of a
    class has the target probability (n + 1) / (n + 2), so that a head that separates all images does not become
    infinitely confident.

    Args:
        scores: ``(n, classes)``, scores of images that were not used to train the head.
        classes: ``(n,)``.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    count = scores.shape[1]
    of_class = np.bincount(classes, minlength=count)[classes]
    rest = 1 / (of_class + 2) / (count - 1)
    target = (of_class + 1) / (of_class + 2) - rest  # excess of the true class over `rest`
    fitted = target * scores[np.arange(len(classes)), classes] + rest * scores.sum(1)

    def unlikelihood(log_factor: float) -> float:
        factor = np.exp(log_factor)
        return float((logsumexp(factor * scores, axis=1) - factor * fitted).sum())

    return float(np.exp(minimize_scalar(unlikelihood, bounds=(-5, 7), method="bounded", options={"xatol": 1e-3}).x))


def probabilities_of(scores: Floats, factor: float) -> Floats:
    """``(n, classes)``, rows summing to 1."""
    from scipy.special import softmax

    probabilities: Floats = softmax(factor * scores, axis=1)
    return probabilities


def brier_score(probabilities: Floats, classes: NDArray[np.int64], weights: Floats) -> float:
    """Weighted mean of the summed squared errors of the probabilities, 0 to 2 (Brier 1950)."""
    errors = np.square(probabilities).sum(1) - 2 * probabilities[np.arange(len(classes)), classes] + 1
    return float(weights @ errors / weights.sum())
