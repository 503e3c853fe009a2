"""Evaluates linear heads on held-out folds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.run_folder.info import HeadTried
from zoo.training.heads.features import Balance, Features
from zoo.training.heads.growth import SHARES
from zoo.training.heads.linear import Floats, Scaling, Spectrum, logistic_regressions
from zoo.training.heads.sureness import brier_score, fit_factor, probabilities_of

#: Candidate penalties, for features whose mean sum of squares is 1. docs/decisions/0020-heads.md
RIDGE_STRENGTHS = tuple((10.0 ** np.arange(-4, -1.4, 0.25)).tolist())
LOGISTIC_STRENGTHS = tuple((10.0 ** np.arange(-3.5, -5.6, -0.5)).tolist())

#: Fold of an image that is used for training in every fold.
NEVER_HELD_OUT = -1

#: Number of dimensions, those with the largest variance, in which logistic regressions are compared.
_MOST_DIMENSIONS = 600

_Strengths = Sequence[float]
_ScoresOf = Callable[[Floats, NDArray[np.bool_], NDArray[np.bool_], Floats, _Strengths], Iterator[Floats]]


@dataclass(frozen=True)
class Tried:
    """The best strength of a method and a balance.

    Args:
        brier, accuracy: Means over the repetitions.
        scores, first_brier: Values of the first repetition, for the images that are held out.
    """

    method: str
    balance: Balance
    strength: float
    brier: float
    accuracy: float
    scores: Floats
    first_brier: float

    @property
    def info(self) -> HeadTried:
        return HeadTried(self.method, self.balance.name, self.strength, self.accuracy, self.brier)


class Trial:
    """Evaluates heads on the images for the choice. Some of them, those with ``judged``, are held out."""

    def __init__(
        self,
        features: Features,
        held: Floats,
        classes: NDArray[np.int64],
        judged: NDArray[np.bool_],
        count: int,
        balanced: bool,
        progress: Callable[[int, int], None],
        steps: int,
    ) -> None:
        self._features = features
        self._held = held
        self._classes = classes
        self._judged = judged
        self._targets = np.eye(count)[classes]
        self._count = count
        self._balanced = balanced
        self._weights = class_weights(classes, count, balanced)
        self._progress = progress
        self._done, self._steps = 0, steps
        self._grams: dict[tuple[int, int], list[NDArray[np.float32]]] = {}

    def ridge(self, balance: Balance, divided: Sequence[NDArray[np.int64]]) -> Tried:
        return self._best("ridge", balance, divided, RIDGE_STRENGTHS, self._ridge)

    def logistic(self, balance: Balance, divided: Sequence[NDArray[np.int64]]) -> Tried:
        return self._best("logistic", balance, divided, LOGISTIC_STRENGTHS, self._logistic)

    def _ridge(
        self, gram: Floats, train: NDArray[np.bool_], other: NDArray[np.bool_], weights: Floats, strengths: _Strengths
    ) -> Iterator[Floats]:
        """Scores of the other images for each strength. ``gram`` has a column for each training image."""
        mean = weights @ self._targets[train] / weights.sum()
        for coefficients in Spectrum(gram[train], weights).ridge(self._targets[train] - mean, strengths):
            yield gram[other] @ coefficients + mean

    def _logistic(
        self, gram: Floats, train: NDArray[np.bool_], other: NDArray[np.bool_], weights: Floats, strengths: _Strengths
    ) -> Iterator[Floats]:
        basis = Spectrum(gram[train], weights).basis(_MOST_DIMENSIONS)
        for head in logistic_regressions(gram[train] @ basis, self._classes[train], weights, strengths):
            yield head.scores(gram[other] @ basis)

    def with_fewer(
        self, chosen: Tried, divided: Sequence[NDArray[np.int64]], seed: int
    ) -> tuple[tuple[int, ...], tuple[Floats, ...]]:
        """Numbers of training images, and for each number the share of correct predictions of every held-out image."""
        scores_of = self._ridge if chosen.method == "ridge" else self._logistic
        right = np.zeros((len(SHARES) + 1, len(self._classes)))
        counts = np.zeros(len(SHARES) + 1)
        generator = np.random.default_rng(seed)
        for repetition, folds in enumerate(divided):
            for fold in range(int(folds.max()) + 1):
                whole = folds != fold
                gram = self._gram(chosen.balance, repetition, fold, whole)
                for number, share in enumerate((*SHARES, 1.0)):
                    train = whole & _keeps(self._classes, whole, share, generator)
                    weights = class_weights(self._classes[train], self._count, self._balanced)
                    (scores,) = scores_of(gram[:, train[whole]], train, ~whole, weights, (chosen.strength,))
                    right[number, ~whole] += scores.argmax(1) == self._classes[~whole]
                    counts[number] += train.sum() / (int(folds.max()) + 1)
                    self._step()
        shares = right[:, self._judged] / len(divided)
        return tuple(np.round(counts / len(divided)).astype(int).tolist()), tuple(shares)

    def _best(
        self,
        method: str,
        balance: Balance,
        divided: Sequence[NDArray[np.int64]],
        strengths: _Strengths,
        scores_of: _ScoresOf,
    ) -> Tried:
        """Finds the best strength. Every image is scored by heads that were not trained on it."""
        scores = np.zeros((len(divided), len(strengths), int(self._judged.sum()), self._count))
        for repetition, folds in enumerate(divided):
            for fold in range(int(folds.max()) + 1):
                train = folds != fold
                gram = self._gram(balance, repetition, fold, train)
                weights = class_weights(self._classes[train], self._count, self._balanced)
                for number, found in enumerate(scores_of(gram, train, ~train, weights, strengths)):
                    scores[repetition, number, ~train[self._judged]] = found
                self._step()
        briers = np.array([[self._brier(each) for each in of] for of in scores])
        best = int(briers.mean(0).argmin())
        accuracy = float((scores[:, best].argmax(2) == self._classes[self._judged]).mean())
        mean, first = float(briers[:, best].mean()), float(briers[0, best])
        return Tried(method, balance, strengths[best], mean, accuracy, scores[0, best], first)

    def _step(self) -> None:
        self._done += 1
        self._progress(self._done, self._steps)

    def _brier(self, scores: Floats) -> float:
        classes = self._classes[self._judged]
        return brier_score(probabilities_of(scores, fit_factor(scores, classes)), classes, self._weights[self._judged])

    def _gram(self, balance: Balance, repetition: int, fold: int, train: NDArray[np.bool_]) -> Floats:
        """``(n, m)``, inner products of all images with the training images, after standardisation on the latter."""
        key = (repetition, fold)
        if key not in self._grams:
            weights = class_weights(self._classes[train], self._count, self._balanced)
            products = (_inner_products(self._held[:, part], train, weights) for part in self._features.parts)
            self._grams[key] = [part.astype(np.float32) for part in products]  # kept until all weightings were tried
        widths = [len(range(*part.indices(self._features.width))) for part in self._features.parts]
        total = sum(value * width for value, width in zip(balance.of_parts, widths, strict=True))
        gram = np.zeros(self._grams[key][0].shape)
        for part, value in zip(self._grams[key], balance.of_parts, strict=True):
            if value:
                gram += value / total * part
        return gram


def _inner_products(features: Floats, train: NDArray[np.bool_], weights: Floats) -> Floats:
    scaled = Scaling.of(features[train], weights, np.ones(features.shape[1]))(features)
    products: Floats = scaled @ scaled[train].T
    return products


def class_weights(classes: NDArray[np.int64], count: int, balanced: bool) -> Floats:
    """``(n,)``, weight of each image, mean 1. ``balanced`` gives every class the same total weight."""
    if not balanced:
        return np.ones(len(classes))
    share = 1 / np.bincount(classes, minlength=count)[classes]
    weights: Floats = share / share.mean()
    return weights


def _keeps(
    classes: NDArray[np.int64], among: NDArray[np.bool_], share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Selects a share of the images of every class, at least one of each."""
    kept = np.zeros(len(classes), bool)
    for label in range(int(classes.max()) + 1):
        of_class = generator.permutation(np.flatnonzero(among & (classes == label)))
        kept[of_class[: max(1, round(share * len(of_class)))]] = True
    return kept
