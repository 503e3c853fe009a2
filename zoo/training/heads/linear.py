"""Linear classifiers on standardised features, in closed form or iterated to convergence, with NumPy.

All of them work on the Gram matrix of the features, ``(n, n)``, because there are usually fewer training images than
features. One eigendecomposition can then be used for all strengths of ridge regression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


#: Number of images whose features are read at a time.
_READ = 1024

#: Reads the features of the images at some positions, ``(m, d)``.
Read = Callable[[NDArray[np.int64]], NDArray[np.float32]]


@dataclass(frozen=True)
class Scaling:
    """Standardisation of features, fitted on the training images.

    Args:
        mean, scale: ``(d,)``: a feature x becomes (x - mean) * scale.
    """

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, features: Floats, weights: Floats, importance: Floats) -> Scaling:
        """Fits a scaling to mean 0 and mean square ``importance`` with weighted images. A constant feature becomes 0.

        Args:
            features: ``(n, d)``.
            weights: ``(n,)``.
            importance: ``(d,)``.
        """
        share = weights / weights.sum()
        mean = share @ features
        return cls._from(mean, share @ np.square(features - mean), importance)

    @classmethod
    def of_many(cls, read: Read, images: NDArray[np.int64], weights: Floats, importance: Floats) -> Scaling:
        """Like ``of``, for features that are read in parts."""
        share = weights / weights.sum()
        mean = np.zeros(len(importance))
        square = np.zeros(len(importance))
        for part in _parts(len(images)):
            mean += share[part] @ read(images[part]).astype(np.float64)
        for part in _parts(len(images)):
            square += share[part] @ np.square(read(images[part]) - mean)
        return cls._from(mean, square, importance)

    @classmethod
    def _from(cls, mean: Floats, variance: Floats, importance: Floats) -> Scaling:
        constant = variance <= 1e-12 * np.maximum(np.square(mean), 1e-12)
        return cls(mean, np.where(constant, 0.0, np.sqrt(importance / np.where(constant, 1.0, variance))))

    def __call__(self, features: NDArray[np.floating]) -> Floats:
        scaled: Floats = (features - self.mean) * self.scale
        return scaled


def _parts(count: int) -> Iterator[slice]:
    return (slice(start, min(start + _READ, count)) for start in range(0, count, _READ))


@dataclass(frozen=True)
class LinearHead:
    """Scores of the classes: ``features @ kernel + bias``.

    Args:
        kernel: ``(d, classes)``.
        bias: ``(classes,)``.
    """

    kernel: Floats
    bias: Floats

    def scores(self, features: NDArray[np.floating]) -> Floats:
        scores: Floats = features @ self.kernel + self.bias
        return scores

    def times(self, factor: float) -> LinearHead:
        return LinearHead(self.kernel * factor, self.bias * factor)

    def on_raw(self, scaling: Scaling) -> LinearHead:
        """The head with the same scores for unscaled features."""
        kernel = self.kernel * scaling.scale[:, None]
        return LinearHead(kernel, self.bias - scaling.mean @ kernel)


class Spectrum:
    """Eigenvectors of the Gram matrix of weighted, standardised training features.

    Args:
        gram: ``(n, n)`` inner products of the standardised features of the training images.
        weights: ``(n,)`` weight of each image in the loss, mean 1.
    """

    def __init__(self, gram: Floats, weights: Floats) -> None:
        self._roots = np.sqrt(weights)
        values, self._vectors = np.linalg.eigh(gram * np.outer(self._roots, self._roots))
        self._values = np.maximum(values, 0.0)

    def ridge(self, targets: Floats, strengths: Sequence[float]) -> Iterator[Floats]:
        """Ridge regression (Hoerl and Kennard 1970) for each strength: ``(n, classes)``, one coefficient per image.

        The scores of other images are their inner products with the training images times these coefficients, plus the
        weighted mean of the targets.

        Args:
            targets: ``(n, classes)``, weighted mean 0.
            strengths: Penalty on the squared coefficients, relative to the weighted sum of squared errors.
        """
        projected = self._vectors.T @ (targets * self._roots[:, None])
        for strength in strengths:
            damped = projected / (self._values + strength * len(targets))[:, None]
            yield (self._vectors @ damped) * self._roots[:, None]

    def basis(self, most: int) -> Floats:
        """``(n, r)``: a matrix that maps inner products with the training images to coordinates without loss.

        If there are more than ``most`` dimensions, those with the largest variance are kept.
        """
        kept = np.flatnonzero(self._values > 1e-9 * max(float(self._values[-1]), 1e-300))[-most:]
        basis: Floats = self._vectors[:, kept] / np.sqrt(self._values[kept]) * self._roots[:, None]
        return basis


def fit_ridge(
    read: Read, images: NDArray[np.int64], scaling: Scaling, targets: Floats, weights: Floats, strength: float
) -> LinearHead:
    """Ridge regression on any number of images, whose features are read in parts. The result is for unscaled features.

    Args:
        read: Reads features.
        images: Positions of the images.
        scaling: Scaling of their features.
        targets: ``(n, classes)``.
        weights: ``(n,)``, weight of each image, mean 1.
        strength: As in ``Spectrum.ridge``.
    """
    from scipy.linalg import solve

    used = np.flatnonzero(scaling.scale)
    mean = weights @ targets / weights.sum()
    gram = np.zeros((len(used), len(used)))
    moment = np.zeros((len(used), targets.shape[1]))
    for part in _parts(len(images)):
        scaled = scaling(read(images[part]))[:, used]
        weighted = scaled * weights[part, None]
        gram += scaled.T @ weighted
        moment += weighted.T @ (targets[part] - mean)
    gram[np.diag_indices_from(gram)] += strength * len(images)
    kernel = np.zeros((len(scaling.scale), targets.shape[1]))
    kernel[used] = solve(gram, moment, assume_a="pos")
    return LinearHead(kernel, mean).on_raw(scaling)


def logistic_regressions(
    features: Floats, classes: NDArray[np.int64], weights: Floats, strengths: Sequence[float]
) -> Iterator[LinearHead]:
    """Multinomial logistic regression, iterated to convergence for each strength, strongest penalty first.

    Args:
        features: ``(n, r)``.
        classes: ``(n,)`` class of each image, from 0. Every class has an image.
        weights: ``(n,)`` weight of each image in the loss, mean 1.
        strengths: Penalties on half the squared coefficients, relative to the weighted sum of the losses, descending.
    """
    from sklearn.linear_model import LogisticRegression

    # The solution for a stronger penalty is a good start for a weaker one.
    regression = LogisticRegression(max_iter=500, warm_start=True)
    for strength in strengths:
        regression.set_params(C=1 / (strength * len(features)))
        regression.fit(features, classes, sample_weight=weights)
        kernel, bias = regression.coef_.T.astype(np.float64), regression.intercept_.astype(np.float64)
        if kernel.shape[1] == 1:  # for two classes: the score of the second minus that of the first
            kernel, bias = np.hstack([-kernel / 2, kernel / 2]), np.concatenate([-bias / 2, bias / 2])
        yield LinearHead(kernel, bias)
