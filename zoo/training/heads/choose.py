"""Which linear head suits a data set best, judged on images that did not train it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zoo.run_folder.info import HeadInfo, HeadTried
from zoo.training.heads.folds import divide_into_folds, group_lookalikes
from zoo.training.heads.growth import SHARES, grow
from zoo.training.heads.linear import (
    Floats,
    LinearHead,
    Read,
    Scaling,
    Spectrum,
    fit_ridge,
    logistic_regressions,
)
from zoo.training.heads.sureness import brier_score, fit_factor, probabilities_of

#: Penalties that are tried, for features whose squares sum to 1 on average. docs/decisions/0020-heads.md.
RIDGE_STRENGTHS = tuple((10.0 ** np.arange(-4, -1.4, 0.25)).tolist())
LOGISTIC_STRENGTHS = tuple((10.0 ** np.arange(-3.5, -5.6, -0.5)).tolist())

LAST_FEATURES = "last features"

FOLDS = 5
#: The choice is repeated with other folds until about this many images were predicted, but not more than _REPETITIONS
#: times: few images need it more, and leave the time for it.
_PREDICTED, _REPETITIONS = 1500, 4
#: Of larger data sets, this many images choose; all of them train the head that was chosen.
MOST_CHOOSING = 2000
#: Dimensions, those of the largest variance, in which logistic regressions are compared.
_MOST_DIMENSIONS = 600
#: Numbers that are held in memory at most, 300 MB. Of more features, ridge regression, which passes over them, is all.
_MOST_HELD = 40_000_000


_Strengths = Sequence[float]
_ScoresOf = Callable[[Floats, NDArray[np.bool_], NDArray[np.bool_], Floats, _Strengths], Iterator[Floats]]


@dataclass(frozen=True)
class Balance:
    """How much the parts of the features count against each other.

    Args:
        name: For people and ``run.json``.
        of_parts: Mean square of a feature of each part once standardised; 0 leaves the part out. What is larger is
            penalised less.
    """

    name: str
    of_parts: tuple[float, ...]


@dataclass(frozen=True)
class Features:
    """Features of training images.

    Args:
        read: Reads those of some images.
        parts: Where the parts are among the features: earlier depths, later depths, the last features; or these alone.
        width: Number of features.
    """

    read: Read
    parts: tuple[slice, ...]
    width: int

    @classmethod
    def of(cls, read: Read, widths: Sequence[int]) -> Features:
        """Features of several depths: the earlier half of them is one part, the later half another, the last a third.

        Args:
            read: Reads them.
            widths: Number of features of every depth, the last features at the end.
        """
        ends = np.cumsum(widths).tolist()
        if len(widths) == 1:
            return cls(read, (slice(0, ends[-1]),), ends[-1])
        early = ends[(len(widths) - 1) // 2 - 1] if len(widths) > 2 else 0
        return cls(read, (slice(0, early), slice(early, ends[-2]), slice(ends[-2], ends[-1])), ends[-1])

    @property
    def balances(self) -> list[Balance]:
        """What is tried: the last features alone, and others beside them that count more and more."""
        if len(self.parts) == 1:
            return [Balance(LAST_FEATURES, (1.0,))]
        return [
            Balance(LAST_FEATURES, (0.0, 0.0, 1.0)),
            Balance("later depths at a tenth", (0.0, 1.0, 10.0)),
            Balance("later depths at a third", (0.0, 1.0, 3.0)),
            Balance("later depths", (0.0, 1.0, 1.0)),
            Balance("all depths", (1.0, 1.0, 1.0)),
        ]

    def importance(self, balance: Balance) -> Floats:
        """``(d,)`` mean square of every feature once standardised; they sum to 1."""
        importance = np.zeros(self.width)
        for part, value in zip(self.parts, balance.of_parts, strict=True):
            importance[part] = value
        share: Floats = importance / importance.sum()
        return share


@dataclass(frozen=True)
class ChosenHead:
    """The head that was chosen, trained on all training images.

    Args:
        head: On the features as they were read; its scores are ready for softmax.
        used: ``(d,)`` which features it uses.
        info: What was tried, for ``run.json``.
        positions: Of the images that chose; none where there were too few to choose by.
        probabilities: ``(m, classes)`` of these, by heads that they did not train.
    """

    head: LinearHead
    used: NDArray[np.bool_]
    info: HeadInfo
    positions: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def uses(self, widths: Sequence[int]) -> list[bool]:
        """Whether it uses any feature of each depth, and of the last."""
        ends = np.cumsum(widths).tolist()
        return [bool(self.used[end - width : end].any()) for end, width in zip(ends, widths, strict=True)]


def choose_head(
    features: Features,
    images: NDArray[np.int64],
    classes: NDArray[np.int64],
    count: int,
    *,
    balanced: bool,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> ChosenHead:
    """Chooses among ridge and logistic regressions on one or several depths, and trains what is best.

    The measure is the Brier score of probabilities for images in folds that did not train, each head's confidence
    calibrated by one factor. It is steadier than the accuracy, which few images change.

    Args:
        features: Of the images.
        images: Positions of the training images.
        classes: ``(m,)`` class of each of them.
        count: Number of classes; every one has an image.
        balanced: Whether all classes count the same, however many images they have.
        seed: Of the folds.
        progress: Called with steps done and steps to do.
    """
    # A matrix of a few hundred rows gains nothing from threads, and on a busy machine loses much.
    with threadpool_limits(1):
        return _choose(features, images, classes, count, balanced, seed, progress or (lambda done, total: None))


def _choose(
    features: Features,
    images: NDArray[np.int64],
    classes: NDArray[np.int64],
    count: int,
    balanced: bool,
    seed: int,
    progress: Callable[[int, int], None],
) -> ChosenHead:
    chosen = _some(classes, seed)
    rows, held = classes[chosen], features.read(images[chosen]).astype(np.float64)
    groups = group_lookalikes(held[:, features.parts[-1]], rows)
    fewest = min(len(np.unique(groups[rows == label])) for label in range(count))
    weights = _weights(classes, count, balanced)
    if fewest < 2:
        return _untried(features, images, classes, count, weights)
    folds = min(FOLDS, fewest)
    repetitions = min(_REPETITIONS, math.ceil(_PREDICTED / len(chosen)))
    divided = [divide_into_folds(rows, groups, folds, seed + number) for number in range(repetitions)]
    balances = features.balances
    steps = (repetitions * (len(balances) + len(SHARES) + 1) + 1) * folds
    trial = _Trial(features, held, rows, count, balanced, progress, steps)
    tried = [trial.ridge(balance, divided) for balance in balances]
    best = min(tried, key=lambda each: each.brier)
    tried.append(trial.logistic(best.balance, divided[:1]))
    # The same images in the same folds decide between the two.
    best = min((best, tried[-1]), key=lambda each: each.first_brier)
    growth = grow(*trial.with_fewer(best, divided, seed), seed)
    factor = fit_factor(best.scores, rows)
    head = _fit(features, images, classes, count, weights, best)
    info = HeadInfo(
        method=best.method,
        features=best.balance.name,
        strength=best.strength,
        images=len(chosen),
        folds=folds,
        repetitions=repetitions,
        accuracy=best.accuracy,
        brier_score=best.brier,
        tried=tuple(each.info for each in tried),
        growth=growth,
    )
    used = features.importance(best.balance) > 0
    probabilities = probabilities_of(best.scores, factor).astype(np.float32)
    return ChosenHead(head.times(factor), used, info, images[chosen], probabilities)


@dataclass(frozen=True)
class _Tried:
    """The best strength of a method and a balance.

    Args:
        brier, accuracy: Means over the repetitions.
        scores, first_brier: Of the first repetition.
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


class _Trial:
    """Tries heads on the images that choose."""

    def __init__(
        self,
        features: Features,
        held: Floats,
        classes: NDArray[np.int64],
        count: int,
        balanced: bool,
        progress: Callable[[int, int], None],
        steps: int,
    ) -> None:
        self._features = features
        self._held = held
        self._classes = classes
        self._targets = np.eye(count)[classes]
        self._count = count
        self._balanced = balanced
        self._weights = _weights(classes, count, balanced)
        self._progress = progress
        self._done, self._steps = 0, steps
        self._grams: dict[tuple[int, int], list[Floats]] = {}

    def ridge(self, balance: Balance, divided: Sequence[NDArray[np.int64]]) -> _Tried:
        return self._best("ridge", balance, divided, RIDGE_STRENGTHS, self._ridge)

    def logistic(self, balance: Balance, divided: Sequence[NDArray[np.int64]]) -> _Tried:
        return self._best("logistic", balance, divided, LOGISTIC_STRENGTHS, self._logistic)

    def _ridge(
        self, gram: Floats, train: NDArray[np.bool_], other: NDArray[np.bool_], weights: Floats, strengths: _Strengths
    ) -> Iterator[Floats]:
        """Scores of the other images for each strength; ``gram`` has a column for each image that trains."""
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
        self, chosen: _Tried, divided: Sequence[NDArray[np.int64]], seed: int
    ) -> tuple[tuple[int, ...], tuple[Floats, ...]]:
        """Numbers of training images, and how often every image was predicted rightly by heads trained on so many."""
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
                    weights = _weights(self._classes[train], self._count, self._balanced)
                    (scores,) = scores_of(gram[:, train[whole]], train, ~whole, weights, (chosen.strength,))
                    right[number, ~whole] += scores.argmax(1) == self._classes[~whole]
                    counts[number] += train.sum() / (int(folds.max()) + 1)
                    self._step()
        return tuple(np.round(counts / len(divided)).astype(int).tolist()), tuple(right / len(divided))

    def _best(
        self,
        method: str,
        balance: Balance,
        divided: Sequence[NDArray[np.int64]],
        strengths: _Strengths,
        scores_of: _ScoresOf,
    ) -> _Tried:
        """Scores of every image by heads that it did not train, for each strength; and the best of them."""
        scores = np.zeros((len(divided), len(strengths), *self._targets.shape))
        for repetition, folds in enumerate(divided):
            for fold in range(int(folds.max()) + 1):
                train = folds != fold
                gram = self._gram(balance, repetition, fold, train)
                weights = _weights(self._classes[train], self._count, self._balanced)
                for number, found in enumerate(scores_of(gram, train, ~train, weights, strengths)):
                    scores[repetition, number, ~train] = found
                self._step()
        briers = np.array([[self._brier(each) for each in of] for of in scores])
        best = int(briers.mean(0).argmin())
        accuracy = float((scores[:, best].argmax(2) == self._classes).mean())
        mean, first = float(briers[:, best].mean()), float(briers[0, best])
        return _Tried(method, balance, strengths[best], mean, accuracy, scores[0, best], first)

    def _step(self) -> None:
        self._done += 1
        self._progress(self._done, self._steps)

    def _brier(self, scores: Floats) -> float:
        return brier_score(probabilities_of(scores, fit_factor(scores, self._classes)), self._classes, self._weights)

    def _gram(self, balance: Balance, repetition: int, fold: int, train: NDArray[np.bool_]) -> Floats:
        """``(n, m)`` inner products of all images with those that train, of features standardised by the latter."""
        key = (repetition, fold)
        if key not in self._grams:
            weights = _weights(self._classes[train], self._count, self._balanced)
            self._grams[key] = [_inner_products(self._held[:, part], train, weights) for part in self._features.parts]
        widths = [len(range(*part.indices(self._features.width))) for part in self._features.parts]
        total = sum(value * width for value, width in zip(balance.of_parts, widths, strict=True))
        parts = zip(self._grams[key], balance.of_parts, strict=True)
        gram: Floats = sum(value / total * part for part, value in parts if value)  # type: ignore[assignment]
        return gram


def _inner_products(features: Floats, train: NDArray[np.bool_], weights: Floats) -> Floats:
    scaled = Scaling.of(features[train], weights, np.ones(features.shape[1]))(features)
    products: Floats = scaled @ scaled[train].T
    return products


def _some(classes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Positions of the images that choose: all, or of many the same share of every class, at least two."""
    if len(classes) <= MOST_CHOOSING:
        return np.arange(len(classes))
    generator = np.random.default_rng(seed)
    share = MOST_CHOOSING / len(classes)
    kept = []
    for label in range(int(classes.max()) + 1):
        of_class = generator.permutation(np.flatnonzero(classes == label))
        kept.append(of_class[: max(2, round(share * len(of_class)))])
    return np.sort(np.concatenate(kept))


def _weights(classes: NDArray[np.int64], count: int, balanced: bool) -> Floats:
    """``(n,)`` weight of each image, mean 1; ``balanced`` gives every class the same sum."""
    if not balanced:
        return np.ones(len(classes))
    share = 1 / np.bincount(classes, minlength=count)[classes]
    weights: Floats = share / share.mean()
    return weights


def _keeps(
    classes: NDArray[np.int64], among: NDArray[np.bool_], share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Which images a share of every class is, at least one of each."""
    kept = np.zeros(len(classes), bool)
    for label in range(int(classes.max()) + 1):
        of_class = generator.permutation(np.flatnonzero(among & (classes == label)))
        kept[of_class[: max(1, round(share * len(of_class)))]] = True
    return kept


def _untried(
    features: Features, images: NDArray[np.int64], classes: NDArray[np.int64], count: int, weights: Floats
) -> ChosenHead:
    """The head of a data set with too few images to compare heads: one that did well on all shared data sets."""
    best = _Tried("logistic", features.balances[0], 10**-4.5, 0.0, 0.0, np.zeros((0, count)), 0.0)
    head = _fit(features, images, classes, count, weights, best)
    info = HeadInfo(method=best.method, features=best.balance.name, strength=best.strength)
    used = features.importance(best.balance) > 0
    return ChosenHead(head, used, info, images[:0], np.zeros((0, count), np.float32))


def _fit(
    features: Features,
    images: NDArray[np.int64],
    classes: NDArray[np.int64],
    count: int,
    weights: Floats,
    chosen: _Tried,
) -> LinearHead:
    """The chosen head, trained on all images, for features as they are read."""
    importance = features.importance(chosen.balance)
    scaling = Scaling.of_many(features.read, images, weights, importance)
    if chosen.method == "ridge" or len(images) * features.width > _MOST_HELD:
        return fit_ridge(features.read, images, scaling, np.eye(count)[classes], weights, chosen.strength)
    scaled = scaling(features.read(images))
    (head,) = logistic_regressions(scaled, classes, weights, (chosen.strength,))
    return head.on_raw(scaling)
