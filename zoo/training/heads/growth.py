"""Estimates the benefit of more training images, and finds the classes that lack them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.evaluation.intervals import exact_interval
from zoo.run_folder.info import Growth, Lacking, WeakClass

#: Shares of the training images on which heads are trained, in addition to all of them.
SHARES = (0.25, 0.5)
_DRAWS = 500
#: Probability of naming any class if all classes are equally difficult.
_SIGNIFICANCE = 0.05
#: Maximum number of classes that are named.
_MOST_LACKING = 3


def grow(counts: tuple[int, ...], right: tuple[NDArray[np.float64], ...], seed: int, ratio: float = 1.0) -> Growth:
    """The learning curve, and its extrapolation to twice as many images.

    Errors of classifiers decrease as a power of the number of images (Hestness et al. 2017, arXiv:1712.00409).
    Therefore twice as many images divide the error by the same factor as the last doubling. The interval is from a
    bootstrap over the images.

    Args:
        counts: Numbers of training images, ascending. The last is twice the one before.
        right: For each of these numbers, the share of correct predictions on every image by heads that were not trained
            on it, ``(n,)``, 0 to 1.
        seed: Seed of the bootstrap.
        ratio: Number of all training images divided by the number of those that were divided into folds.
    """
    doublings = math.log2(ratio)
    shares = np.array(right)
    count = shares.shape[1]
    drawn = np.random.default_rng(seed).integers(0, count, (_DRAWS, count))
    low, high = np.quantile([_gain(shares[:, images], doublings) for images in drawn], (0.025, 0.975))
    return Growth(
        images=counts,
        accuracies=tuple(float(share.mean()) for share in shares),
        gain=_gain(shares, doublings),
        interval=(float(low), float(high)),
    )


def _gain(shares: NDArray[np.float64], doublings: float) -> float:
    """Gain in accuracy, 0 to 1, of one more doubling after a number of doublings."""
    half, whole = (1 - shares[-2:].mean(1)).tolist()
    if whole >= half:
        return 0.0
    factor = whole / half
    return float(whole * factor**doublings * (1 - factor))


def find_lacking(
    labels: Sequence[str], counts: NDArray[np.int64], classes: NDArray[np.int64], right: NDArray[np.bool_]
) -> Lacking | None:
    """The classes that have fewer training images than the others and significantly more wrong predictions.

    A class is tested if it has fewer images than the mean of the other classes: Fisher's exact test, one-sided, of its
    wrong predictions against those of all other classes, with Bonferroni's correction for the number of tests.

    Args:
        labels: Names of the classes.
        counts: ``(classes,)``, number of training images of each class.
        classes: ``(n,)``, class of each held-out image.
        right: ``(n,)``, whether it was predicted correctly by a head that was not trained on it.
    """
    from scipy.stats import fisher_exact

    held_out = np.bincount(classes, minlength=len(labels))
    wrong = np.bincount(classes[~right], minlength=len(labels))
    tested = np.flatnonzero((held_out > 0) & (counts * len(labels) < counts.sum()))
    found = []
    for label in tested.tolist():
        of_class = [wrong[label], held_out[label] - wrong[label]]
        others = [wrong.sum() - wrong[label], (held_out - wrong).sum() - of_class[1]]
        if fisher_exact([of_class, others], "greater").pvalue * len(tested) < _SIGNIFICANCE:
            found.append(label)
    found.sort(key=lambda label: -wrong[label] / held_out[label])
    if not found:
        return None
    weak = tuple(
        WeakClass(labels[label], n := int(held_out[label]), k := int(wrong[label]), exact_interval(k, n))
        for label in found[:_MOST_LACKING]
    )
    rest = np.setdiff1d(np.arange(len(labels)), found[:_MOST_LACKING])
    return Lacking(weak, int(held_out[rest].sum()), int(wrong[rest].sum()))
