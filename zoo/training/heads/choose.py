"""Chooses the best linear head for a dataset, by cross-validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from zoo.run_folder.info import HeadInfo
from zoo.training.heads.features import Features
from zoo.training.heads.folds import divide_into_folds, group_lookalikes
from zoo.training.heads.growth import SHARES, grow
from zoo.training.heads.linear import (
    Floats,
    LinearHead,
    Scaling,
    fit_ridge,
    logistic_regressions,
)
from zoo.training.heads.sureness import fit_factor, probabilities_of
from zoo.training.heads.trial import NEVER_HELD_OUT, Trial, Tried, class_weights

FOLDS = 5
#: The cross-validation is repeated with other folds until about this many images were predicted, but at most
#: _REPETITIONS times. Repetitions are more useful for small datasets, and take little time for them.
_PREDICTED, _REPETITIONS = 1500, 4
#: Maximum number of images for the choice. The chosen head is trained on all images.
MOST_CHOOSING = 2000
#: Maximum number of feature values in memory, 320 MB. With more, only ridge regressions are candidates, because they
#: read the features in parts.
_MOST_HELD = 40_000_000
#: Penalty of the default head if it is a ridge regression: the median of those that were best for the last features of
#: two networks on the five datasets of decision 20, which ranged from 0.0006 to 0.01.
_DEFAULT_RIDGE = 0.0025


@dataclass(frozen=True)
class ChosenHead:
    """The head that was chosen, trained on all training images.

    Args:
        head: The head on unscaled features. Its scores are the input of softmax.
        used: ``(d,)``, the features that it uses.
        info: The candidates, for ``run.json``.
        positions: Positions of the images that were held out for the choice. Empty if there were too few.
        probabilities: ``(m, classes)``, predicted for these images by heads that were not trained on them.
    """

    head: LinearHead
    used: NDArray[np.bool_]
    info: HeadInfo
    positions: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def uses(self, widths: Sequence[int]) -> list[bool]:
        """For each depth and for the last layer, whether the head uses any of its features."""
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
    """Chooses among ridge and logistic regressions on one or several depths, and trains the best.

    The criterion is the Brier score on held-out folds, with the confidence of each head calibrated by one factor. With
    few images, the Brier score varies less than the accuracy.

    The images of a class are never held out if all of them are similar: a head that was trained without them would not
    know the class. If fewer than half of the classes or fewer than two can be held out, a default head is trained.

    Args:
        features: Features of the images.
        images: Positions of the training images.
        classes: ``(m,)``, class of each training image.
        count: Number of classes. Each must have an image.
        balanced: Whether all classes have the same weight, regardless of their number of images.
        seed: Seed of the folds.
        progress: Called with steps done and steps to do.
    """
    tell = progress or (lambda done, total: None)
    # Threads do not help for a matrix of a few hundred rows, and are slow on a busy machine.
    with threadpool_limits(1):
        chosen = _some(classes, seed)
        rows, held = classes[chosen], features.read(images[chosen]).astype(np.float64)
        groups = group_lookalikes(held[:, features.parts[-1]], rows)
        different = np.array([len(np.unique(groups[rows == label])) for label in range(count)])
        weights = class_weights(classes, count, balanced)
        if np.count_nonzero(different > 1) < max(2, count / 2):
            return _untried(features, images, classes, count, weights, held, rows)
        judged = different[rows] > 1
        folds = min(FOLDS, int(different.max()))
        repetitions = min(_REPETITIONS, math.ceil(_PREDICTED / len(chosen)))
        divided = [np.full(len(rows), NEVER_HELD_OUT) for _ in range(repetitions)]
        for number, each in enumerate(divided):
            each[judged] = divide_into_folds(rows[judged], groups[judged], folds, seed + number)
        balances = features.balances
        tries_logistic = _all_in_memory(features, images)
        steps = (repetitions * (len(balances) + len(SHARES) + 1) + tries_logistic) * folds
        trial = Trial(features, held, rows, judged, count, balanced, tell, steps)
        tried = [trial.ridge(balance, divided) for balance in balances]
        best = min(tried, key=lambda each: each.brier)
        if tries_logistic:
            tried.append(trial.logistic(best.balance, divided[:1]))
            # The two methods are compared on the same images in the same folds.
            best = min((best, tried[-1]), key=lambda each: each.first_brier)
        growth = grow(*trial.with_fewer(best, divided, seed), seed, len(classes) / len(chosen))
        factor = fit_factor(best.scores, rows[judged])
        head = _fit(features, images, classes, count, weights, best)
        info = HeadInfo(
            method=best.method,
            features=best.balance.name,
            strength=best.strength,
            images=int(judged.sum()),
            folds=folds,
            repetitions=repetitions,
            accuracy=best.accuracy,
            brier_score=best.brier,
            tried=tuple(each.info for each in tried),
            growth=growth,
        )
        used = features.importance(best.balance) > 0
        probabilities = probabilities_of(best.scores, factor).astype(np.float32)
        return ChosenHead(head.times(factor), used, info, images[chosen[judged]], probabilities)


def _some(classes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Positions of the images for the choice.

    These are all images, or, if there are more than ``MOST_CHOOSING``, the same share of every class, but at least two
    images of each.
    """
    if len(classes) <= MOST_CHOOSING:
        return np.arange(len(classes))
    generator = np.random.default_rng(seed)
    share = MOST_CHOOSING / len(classes)
    kept = []
    for label in range(int(classes.max()) + 1):
        of_class = generator.permutation(np.flatnonzero(classes == label))
        kept.append(of_class[: max(2, round(share * len(of_class)))])
    return np.sort(np.concatenate(kept))


def _untried(
    features: Features,
    images: NDArray[np.int64],
    classes: NDArray[np.int64],
    count: int,
    weights: Floats,
    held: Floats,
    rows: NDArray[np.int64],
) -> ChosenHead:
    """The default head for a dataset with too few images to compare heads. It performed well on all test datasets.

    The scores of a ridge regression are no logits, so they get a factor that is fitted on training images. Its targets
    are far from 1 for few images, so that the confidence stays low.
    """
    method, strength = ("logistic", 10**-4.5) if _all_in_memory(features, images) else ("ridge", _DEFAULT_RIDGE)
    best = Tried(method, features.balances[0], strength, 0.0, 0.0, np.zeros((0, count)), 0.0)
    head = _fit(features, images, classes, count, weights, best)
    if method == "ridge":
        head = head.times(fit_factor(head.scores(held), rows))
    info = HeadInfo(method=best.method, features=best.balance.name, strength=best.strength)
    used = features.importance(best.balance) > 0
    return ChosenHead(head, used, info, images[:0], np.zeros((0, count), np.float32))


def _all_in_memory(features: Features, images: NDArray[np.int64]) -> bool:
    """Whether all features can be in memory at once, as logistic regression requires."""
    return len(images) * features.width <= _MOST_HELD


def _fit(
    features: Features,
    images: NDArray[np.int64],
    classes: NDArray[np.int64],
    count: int,
    weights: Floats,
    chosen: Tried,
) -> LinearHead:
    """Trains the chosen head on all images, for unscaled features."""
    importance = features.importance(chosen.balance)
    scaling = Scaling.of_many(features.read, images, weights, importance)
    if chosen.method == "ridge":
        return fit_ridge(features.read, images, scaling, np.eye(count)[classes], weights, chosen.strength)
    scaled = scaling(features.read(images))
    (head,) = logistic_regressions(scaled, classes, weights, (chosen.strength,))
    return head.on_raw(scaling)
