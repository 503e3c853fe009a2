"""Pictures whose label is likely wrong, and pictures unlike their class, by the features of a pretrained backbone.

Label errors: every picture is classified by a ridge regression that was fitted without it and without its twins, which
has a closed form (no folds, no chance), and confident learning (Northcutt et al. 2021, "Confident Learning: Estimating
Uncertainty in Dataset Labels") compares what it says with the label: a picture is suspect where another class is the
likeliest, and nearly as likely as that class is for its own pictures on average.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A class with fewer different pictures is not judged: too little is known of it.
FEWEST_IN_CLASS = 5

# Chosen by their log loss on the pictures left out.
_RIDGES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_SHARPNESSES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)

#: Share of a class's average confidence from which it counts. At 1, the paper's, fewer errors are found: of the labels
#: flipped in benchmarks/label_errors.py four of five, here nine of ten, with three false alarms for five right ones.
_CONFIDENT = 0.82
#: Nearer to the class it is labelled with than this, a picture may well be both.
_MARGIN = 0.2

_NEIGHBOURS = 5
_FEWEST_FOR_OUTLIERS = 20
_FAR_OUT = 2.5  # interquartile ranges above the upper quartile; Tukey calls 3 far out


@dataclass(frozen=True)
class LabelSuspect:
    """A picture that looks like another class.

    Args:
        index: Of the picture.
        suggested: Index of the class it looks like.
        confidence: Probability of that class, 0 to 1, from pictures other than this one.
        own: Probability of the class it is labelled with.
    """

    index: int
    suggested: int
    confidence: float
    own: float


@dataclass(frozen=True)
class Outlier:
    """A picture far from every other of its class: ``distance`` is how many times as far as is usual there."""

    index: int
    distance: float


def label_suspects(
    features: NDArray[np.float32], classes: NDArray[np.int64], group: NDArray[np.int64]
) -> list[LabelSuspect]:
    """Pictures whose label is likely wrong, the surest first.

    Args:
        features: ``(n, features)``.
        classes: Index of the class of each picture.
        group: Pictures that show the same share a number; none of them judges another.
    """
    if len(classes) < 2 * FEWEST_IN_CLASS or len(np.unique(classes)) < 2:
        return []
    probabilities = held_out_probabilities(features, classes, group)
    own = probabilities[np.arange(len(classes)), classes]
    known = [len(np.unique(group[classes == index])) >= FEWEST_IN_CLASS for index in range(probabilities.shape[1])]
    usual = np.array([own[classes == index].mean() if known[index] else np.inf for index in range(len(known))])
    likeliest = probabilities.argmax(1)
    confidence = probabilities.max(1)
    suspect = (confidence >= own + _MARGIN) & (confidence >= _CONFIDENT * usual[likeliest]) & np.array(known)[classes]
    found = [
        LabelSuspect(int(index), int(likeliest[index]), float(confidence[index]), float(own[index]))
        for index in np.flatnonzero(suspect)
    ]
    return sorted(found, key=lambda suspect: suspect.own - suspect.confidence)


def held_out_probabilities(
    features: NDArray[np.float32], classes: NDArray[np.int64], group: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What a linear classifier says of every picture that it was not fitted on, ``(n, classes)``; rows sum to 1."""
    targets: NDArray[np.float64] = np.eye(int(classes.max()) + 1)[classes]
    left, strength = _directions(features)
    together = [np.flatnonzero(group == name) for name in np.unique(group[_repeated(group)])]
    best_loss, best = np.inf, targets
    for ridge in _RIDGES:
        left_out = _left_out(left, strength / (strength + ridge), targets, together)
        for sharpness in _SHARPNESSES:
            scores = sharpness * (left_out - left_out.max(1, keepdims=True))
            probabilities: NDArray[np.float64] = np.exp(scores)
            probabilities /= probabilities.sum(1, keepdims=True)
            loss = -np.log(probabilities[np.arange(len(classes)), classes] + 1e-9).mean()
            if loss < best_loss:
                best_loss, best = loss, probabilities
    return best


def _directions(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Orthonormal directions of the pictures in feature space, ``(n, directions)``, and their squared lengths."""
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
    """Fitted values of a ridge regression with intercept, each picture (or group of twins) left out of its own fit.

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
    """Pictures unlike their class, the farthest first, by the distance to the nearest five of it.

    Args:
        features: Of length 1, ``(n, features)``.
        classes: Index of the class of each picture.
        group: Pictures that show the same share a number; they do not count as neighbours of each other.
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
    """Mean cosine distance to the nearest pictures of the same class."""
    most = min(_NEIGHBOURS, len(features) - 1)
    found = np.empty(len(features))
    for start in range(0, len(features), 512):
        likeness = features[start : start + 512] @ features.T
        likeness[group[start : start + 512, None] == group[None, :]] = -1
        found[start : start + 512] = 1 - np.partition(likeness, -most, axis=1)[:, -most:].mean(1)
    return found
