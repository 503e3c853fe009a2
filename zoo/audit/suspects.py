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

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from zoo.audit.nearest import Vectors, nearest
from zoo.data.ingest import Progress

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

_NEGLIGIBLE = 1e-18  # weight of a setting, below the precision of the sum
_MORE_THAN_1 = 1 + 1e-9  # keeps matrices regular
_BLOCK = 4096  # rows that are processed at once

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
    features: Vectors, classes: NDArray[np.int64], group: NDArray[np.int64], progress: Progress | None = None
) -> list[LabelSuspect]:
    """Labels to look at, those with the most evidence against them first.

    Args:
        features: Features, ``(n, features)``.
        classes: Index of the class of each image.
        group: Number of the duplicate group of each image. Images of one group are not used to judge each other.
        progress: Called with images done and images to do, twice the number of images.
    """
    if len(classes) < 2 * FEWEST_IN_CLASS or len(np.unique(classes)) < 2:
        return []
    said = held_out(features, classes, group, progress)
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


def held_out(
    features: Vectors, classes: NDArray[np.int64], group: NDArray[np.int64], progress: Progress | None = None
) -> HeldOut:
    """Predicts every image with a linear classifier that was fitted without it.

    The images are processed in blocks: first to find the likelihood of each setting, then to average over the settings.

    Arguments are those of ``label_suspects``.
    """
    regression = _Regression(features, classes)
    blocks = _blocks(group)
    others = max(len(np.unique(classes)) - 1, 1)
    progress = progress or (lambda done, total: None)
    done = 0

    def given(own: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probability of each label, and of each label being wrong, for every share of wrong labels."""
        wrong = np.outer(_SHARES / others, 1 - own)
        return np.outer(1 - _SHARES, own) + wrong + 1e-12, wrong

    likelihood = np.tile(_LOG_PRIOR, (len(_RIDGES), len(_SHARPNESSES), 1))
    for rows, together in blocks:
        own = np.arange(len(rows)), classes[rows]
        for ridge, scores in enumerate(regression.left_out(rows, together, _RIDGES)):
            for place, sharpness in enumerate(_SHARPNESSES):
                likelihood[ridge, place] += np.log(given(_softmax(sharpness * scores)[own])[0]).sum(1)
        done += len(rows)
        progress(done, 2 * len(classes))
    weights = np.exp(likelihood - likelihood.max())
    weights /= weights.sum()
    weights[weights.sum(2) < _NEGLIGIBLE] = 0
    ridges = np.flatnonzero(weights.sum((1, 2))).tolist()
    probabilities, evidence = np.zeros((len(classes), regression.classes)), np.zeros(len(classes))
    for rows, together in blocks:
        own = np.arange(len(rows)), classes[rows]
        for ridge, scores in zip(
            ridges, regression.left_out(rows, together, [_RIDGES[ridge] for ridge in ridges]), strict=True
        ):
            for place in np.flatnonzero(weights[ridge].sum(1)).tolist():
                said = _softmax(_SHARPNESSES[place] * scores)
                label, wrong = given(said[own])
                probabilities[rows] += weights[ridge, place].sum() * said
                evidence[rows] += weights[ridge, place] @ (wrong / label)
        done += len(rows)
        progress(done, 2 * len(classes))
    return HeldOut(probabilities, float(weights.sum((0, 1)) @ _SHARES), evidence)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(found / found.sum(1, keepdims=True), np.float64)


def _blocks(group: NDArray[np.int64]) -> list[tuple[NDArray[np.intp], list[slice]]]:
    """Rows of whole duplicate groups, and where groups of several rows are among them.

    A block has at most ``_BLOCK`` rows, or is one group with more.
    """
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1)).tolist()
    blocks: list[tuple[NDArray[np.intp], list[slice]]] = []
    first, together = 0, list[slice]()
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        if stop - first > _BLOCK and start > first:
            blocks.append((order[first:start], together))
            first, together = start, []
        if stop - start > 1:
            together.append(slice(start - first, stop - first))
    return [*blocks, (order[first:], together)]


class _Regression:
    """Ridge regressions with intercept of one-hot labels on features, by blocks of rows.

    Args:
        features: Features, ``(n, features)``.
        labels: Index of the class of each row.
    """

    def __init__(self, features: Vectors, labels: NDArray[np.int64]) -> None:
        self._features, self._labels = features, labels
        self.classes = int(labels.max()) + 1
        self._count = len(labels)
        blocks = _parts(np.arange(self._count))
        self._mean = _total(features[rows].sum(0, dtype=np.float64) for rows in blocks) / self._count
        self._share = _total(self._targets(rows).sum(0) for rows in blocks) / self._count
        # With fewer rows than features, the vectors are the left singular ones, otherwise the right singular ones.
        self._wide = self._count < features.shape[1]
        if self._wide:
            centred = self._centred(np.arange(self._count))
            squared, vectors = np.linalg.eigh(centred @ centred.T)
        else:
            squared, vectors = np.linalg.eigh(_total((part := self._centred(rows)).T @ part for rows in blocks))
        kept = squared > squared[-1] * 1e-10
        self._strength, self._vectors = squared[kept], vectors[:, kept]
        self._fitted = _total(self._left(rows).T @ self._targets(rows) for rows in blocks)

    def left_out(
        self, rows: NDArray[np.intp], together: Sequence[slice], ridges: Sequence[float]
    ) -> Iterator[NDArray[np.float64]]:
        """Predictions of the regression for each ridge that leaves out each row (or duplicate group) in turn.

        The hat matrix is ``left diag(shrink) left.T + 1/n``; leaving out the rows g turns their residuals r into
        ``(I - H[g, g])^-1 r``.

        Args:
            rows: Rows of a block.
            together: The duplicate groups of several rows, as positions in ``rows``.
            ridges: Penalties.
        """
        if len(rows) > _BLOCK:
            yield from self._group_left_out(rows, ridges)
            return
        left, targets = self._left(rows), self._targets(rows)
        for shrink in (self._strength / (self._strength + ridge) for ridge in ridges):
            residuals = targets - self._share - (left * shrink) @ self._fitted
            own = (left**2 * shrink).sum(1) + 1 / self._count
            found: NDArray[np.float64] = targets - residuals / np.maximum(1 - own, 1e-6)[:, None]
            for some in together:
                hat = (left[some] * shrink) @ left[some].T + 1 / self._count
                solved = np.linalg.solve(np.eye(len(hat)) * _MORE_THAN_1 - hat, residuals[some])
                found[some] = targets[some] - solved
            yield found

    def _group_left_out(self, rows: NDArray[np.intp], ridges: Sequence[float]) -> Iterator[NDArray[np.float64]]:
        """Like ``left_out``, for one duplicate group of any size.

        The hat matrix is ``U U.T`` with fewer columns than rows, so the Woodbury identity replaces
        ``(I - U U.T)^-1`` by ``I + U (I - U.T U)^-1 U.T``.
        """

        def factor_and_residuals(
            part: NDArray[np.intp], shrink: NDArray[np.float64]
        ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            left = self._left(part)
            residuals = self._targets(part) - self._share - (left * shrink) @ self._fitted
            return np.hstack([left * np.sqrt(shrink), np.full((len(part), 1), self._count**-0.5)]), residuals

        parts = _parts(rows)
        for shrink in (self._strength / (self._strength + ridge) for ridge in ridges):
            inner = np.eye(len(shrink) + 1) * _MORE_THAN_1
            right = np.zeros((len(shrink) + 1, self.classes))
            for part in parts:
                factor, residuals = factor_and_residuals(part, shrink)
                inner -= factor.T @ factor
                right += factor.T @ residuals
            solved = np.linalg.solve(inner, right)
            found = []
            for part in parts:
                factor, residuals = factor_and_residuals(part, shrink)
                found.append(self._targets(part) - (residuals + factor @ solved) / _MORE_THAN_1)
            yield np.concatenate(found)

    def _targets(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        targets = np.zeros((len(rows), self.classes))
        targets[np.arange(len(rows)), self._labels[rows]] = 1
        return targets

    def _centred(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(self._features[rows].astype(np.float64) - self._mean)

    def _left(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Rows of the left singular vectors of the features, ``(rows, directions)``."""
        if self._wide:
            return np.asarray(self._vectors[rows])
        return np.asarray(self._centred(rows) @ self._vectors / np.sqrt(self._strength))


def _total(parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
    return reduce(operator.add, parts)


def _parts(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def outliers(
    features: Vectors, classes: NDArray[np.int64], group: NDArray[np.int64], progress: Progress | None = None
) -> list[Outlier]:
    """Images unlike their class, farthest first, by the distance to their five nearest neighbours in the class.

    Args:
        features: Features normalised to length 1, ``(n, features)``.
        classes: Index of the class of each image.
        group: Number of the duplicate group of each image. Images of one group are not neighbours of each other.
        progress: Called with images done and images to do.
    """
    found = []
    done = 0
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        done += len(rows)
        if len(rows) >= _FEWEST_FOR_OUTLIERS:
            distance = _to_neighbours(features, rows, group)
            quarter, middle, three_quarters = np.percentile(distance, [25, 50, 75])
            limit = three_quarters + _FAR_OUT * (three_quarters - quarter)
            found += [
                Outlier(int(rows[place]), float(distance[place] / max(middle, 1e-9)))
                for place in np.flatnonzero(distance > limit)
            ]
        if progress:
            progress(done, len(classes))
    return sorted(found, key=lambda outlier: -outlier.distance)


def _to_neighbours(features: Vectors, rows: NDArray[np.intp], group: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean cosine distance to the nearest of the images in ``rows``."""

    def cosines(some: slice, with_others: slice) -> NDArray[np.float32]:
        cosine: NDArray[np.float32] = features[rows[some]] @ features[rows[with_others]].T
        cosine[group[rows[some], None] == group[None, rows[with_others]]] = -1
        return cosine

    found = nearest(cosines, len(rows), len(rows), min(_NEIGHBOURS, len(rows) - 1))
    return np.concatenate([1 - block.similarity.mean(1) for block in found])
