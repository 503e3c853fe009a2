"""Labels to look at, and images unlike their class, found with the features of a pretrained backbone.

Labels: every image is classified by a ridge regression that was fitted without it and without its near-duplicates.
This has a closed form, without folds or randomness. A softmax with a sharpness converts its scores to probabilities.
The model assumes that a label is wrong with probability e, and then any other class is equally likely. So a label is
observed with probability (1 - e) p + e (1 - p) / (k - 1), where p is the probability of its class. Bayes' rule gives
the probability that each label is wrong, averaged over ridge, sharpness and e, each weighted by the likelihood of the
given labels. If hard images explain the disagreement, e is close to 0 and no label is suspicious. This is confident
learning (Northcutt et al. 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"), but the share of wrong
labels is fitted together with the calibration instead of being derived from thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Classes with fewer different pictures are not checked, because there is too little data.
FEWEST_IN_CLASS = 5

# The result is averaged over these settings: ridge, sharpness, and the share of wrong labels, uniform up to 0.3.
_RIDGES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_SHARPNESSES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0, 24.0, 32.0, 48.0, 64.0)
_SHARES = np.array([0, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8.5, 10, 12, 14, 16, 20, 25, 30]) / 100
_LOG_PRIOR = np.log(np.gradient(_SHARES))

#: Minimum probability that a reported label is wrong. Chosen on the training photos of five datasets, with other
#: seeds than those of benchmarks/label_errors.py: at 0.5, 75 to 84 % of the reported labels were wrong, at 0.7, 88 %,
#: and at 0.8, 89 to 91 %, but fewer labels were reported.
_SUSPECT_FROM = 0.7

#: Precision in the same benchmark, for the text of the findings.
MEASURED = "In tests with deliberately wrong labels, 9 of 10 such findings were right."

_NEIGHBOURS = 5
_FEWEST_FOR_OUTLIERS = 20
_FAR_OUT = 2.5  # interquartile ranges above the upper quartile; Tukey calls 3 far out


@dataclass(frozen=True)
class LabelSuspect:
    """An image that looks like another class.

    Args:
        index: Index of the image.
        suggested: Index of the class it looks like.
        confidence: Probability of that class, 0 to 1, computed from the other images.
        own: Probability of the class of its label.
        evidence: Probability that the label is wrong, 0 to 1.
    """

    index: int
    suggested: int
    confidence: float
    own: float
    evidence: float


@dataclass(frozen=True)
class HeldOut:
    """Predictions for every image from a model that was fitted without it.

    Args:
        probabilities: Class probabilities, ``(n, classes)``. Rows sum to 1.
        wrong_share: Estimated share of wrong labels.
        evidence: Probability that each label is wrong, ``(n,)``.
    """

    probabilities: NDArray[np.float64]
    wrong_share: float
    evidence: NDArray[np.float64]


@dataclass(frozen=True)
class Outlier:
    """An image that is far from all others of its class. ``distance`` is in multiples of the median in the class."""

    index: int
    distance: float


def label_suspects(
    features: NDArray[np.float32], classes: NDArray[np.int64], group: NDArray[np.int64]
) -> list[LabelSuspect]:
    """Labels to look at, those with the most evidence against them first.

    Args:
        features: Features, ``(n, features)``.
        classes: Index of the class of each image.
        group: Number of the duplicate group of each image. Images of one group are not used to judge each other.
    """
    if len(classes) < 2 * FEWEST_IN_CLASS or len(np.unique(classes)) < 2:
        return []
    said = held_out(features, classes, group)
    different = [len(np.unique(group[classes == index])) for index in range(said.probabilities.shape[1])]
    known = np.array(different) >= FEWEST_IN_CLASS
    likeliest = said.probabilities.argmax(1)
    suspect = (said.evidence >= _SUSPECT_FROM) & (likeliest != classes) & known[classes] & known[likeliest]
    found = [
        LabelSuspect(
            index,
            int(likeliest[index]),
            float(said.probabilities[index, likeliest[index]]),
            float(said.probabilities[index, classes[index]]),
            float(said.evidence[index]),
        )
        for index in np.flatnonzero(suspect).tolist()
    ]
    return sorted(found, key=lambda suspect: -suspect.evidence)


def held_out(features: NDArray[np.float32], classes: NDArray[np.int64], group: NDArray[np.int64]) -> HeldOut:
    """Predicts every image with a linear classifier that was fitted without it.

    Arguments are those of ``label_suspects``.
    """
    targets: NDArray[np.float64] = np.eye(int(classes.max()) + 1)[classes]
    others = max(len(np.unique(classes)) - 1, 1)
    left, strength = _directions(features)
    together = [np.flatnonzero(group == name) for name in np.unique(group[_repeated(group)])]
    # Sums over all settings, weighted by the likelihood of the labels, relative to the highest likelihood so far.
    likeliest, weight = -np.inf, 0.0
    probabilities, evidence, share = np.zeros_like(targets), np.zeros(len(classes)), 0.0
    for ridge in _RIDGES:
        left_out = _left_out(left, strength / (strength + ridge), targets, together)
        for sharpness in _SHARPNESSES:
            said = _softmax(sharpness * left_out)
            own = said[np.arange(len(classes)), classes]
            wrong = np.outer(_SHARES / others, 1 - own)
            given = np.outer(1 - _SHARES, own) + wrong + 1e-12
            log_likelihood = np.log(given).sum(1) + _LOG_PRIOR
            if log_likelihood.max() > likeliest:
                fade = np.exp(likeliest - log_likelihood.max())
                likeliest = log_likelihood.max()
                weight, share, probabilities, evidence = (
                    value * fade for value in (weight, share, probabilities, evidence)
                )
            weights = np.exp(log_likelihood - likeliest)
            weight += weights.sum()
            share += float(weights @ _SHARES)
            probabilities += weights.sum() * said
            evidence += weights @ (wrong / given)
    return HeldOut(probabilities / weight, share / weight, evidence / weight)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(found / found.sum(1, keepdims=True), np.float64)


def _directions(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Left singular vectors of the features, ``(n, directions)``, and the squared singular values."""
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    wide = centred.shape[0] < centred.shape[1]
    squared, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    kept = squared > squared[-1] * 1e-10
    squared, vectors = squared[kept], vectors[:, kept]
    return np.asarray(vectors if wide else centred @ vectors / np.sqrt(squared)), squared


def _left_out(
    left: NDArray[np.float64],
    shrink: NDArray[np.float64],
    targets: NDArray[np.float64],
    together: Sequence[NDArray[np.intp]],
) -> NDArray[np.float64]:
    """Predictions of a ridge regression with intercept that leaves out each image (or duplicate group) in turn.

    The hat matrix is ``left diag(shrink) left.T + 1/n``; leaving out the rows g turns their residuals r into
    ``(I - H[g, g])^-1 r``.
    """
    count = len(targets)
    residuals = targets - targets.mean(0) - (left * shrink) @ (left.T @ targets)
    own = (left**2 * shrink).sum(1) + 1 / count
    found: NDArray[np.float64] = targets - residuals / np.maximum(1 - own, 1e-6)[:, None]
    for rows in together:
        hat = (left[rows] * shrink) @ left[rows].T + 1 / count
        found[rows] = targets[rows] - np.linalg.solve(np.eye(len(rows)) * (1 + 1e-9) - hat, residuals[rows])
    return found


def _repeated(group: NDArray[np.int64]) -> NDArray[np.bool_]:
    _, inverse, counts = np.unique(group, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] > 1, np.bool_)


def outliers(features: NDArray[np.float32], classes: NDArray[np.int64], group: NDArray[np.int64]) -> list[Outlier]:
    """Images unlike their class, farthest first, by the distance to their five nearest neighbours in the class.

    Args:
        features: Features normalised to length 1, ``(n, features)``.
        classes: Index of the class of each image.
        group: Number of the duplicate group of each image. Images of one group are not neighbours of each other.
    """
    found = []
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        if len(rows) < _FEWEST_FOR_OUTLIERS:
            continue
        distance = _to_neighbours(features[rows], group[rows])
        quarter, middle, three_quarters = np.percentile(distance, [25, 50, 75])
        limit = three_quarters + _FAR_OUT * (three_quarters - quarter)
        found += [
            Outlier(int(rows[place]), float(distance[place] / max(middle, 1e-9)))
            for place in np.flatnonzero(distance > limit)
        ]
    return sorted(found, key=lambda outlier: -outlier.distance)


def _to_neighbours(features: NDArray[np.float32], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean cosine distance to the nearest images of the same class."""
    most = min(_NEIGHBOURS, len(features) - 1)
    found = np.empty(len(features))
    for start in range(0, len(features), 512):
        correlation = features[start : start + 512] @ features.T
        correlation[group[start : start + 512, None] == group[None, :]] = -1
        found[start : start + 512] = 1 - np.partition(correlation, -most, axis=1)[:, -most:].mean(1)
    return found
