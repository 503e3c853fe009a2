"""Estimates the benefit of more training images, from heads that were trained on fewer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.run_folder.info import Growth

#: Shares of the training images on which heads are trained, in addition to all of them.
SHARES = (0.25, 0.5)
_DRAWS = 500


def grow(counts: tuple[int, ...], right: tuple[NDArray[np.float64], ...], seed: int) -> Growth:
    """The learning curve, and its extrapolation to twice as many images.

    Errors of classifiers decrease as a power of the number of images (Hestness et al. 2017, arXiv:1712.00409).
    Therefore twice as many images divide the error by the same factor as the last doubling. The interval is from a
    bootstrap over the images.

    Args:
        counts: Numbers of training images, ascending. The last is twice the one before.
        right: For each of these numbers, the share of correct predictions on every image by heads that were not trained
            on it, ``(n,)``, 0 to 1.
        seed: Seed of the bootstrap.
    """
    shares = np.array(right)
    count = shares.shape[1]
    drawn = np.random.default_rng(seed).integers(0, count, (_DRAWS, count))
    low, high = np.quantile([_gain(shares[:, images]) for images in drawn], (0.025, 0.975))
    return Growth(
        images=counts,
        accuracies=tuple(float(share.mean()) for share in shares),
        gain=_gain(shares),
        interval=(float(low), float(high)),
    )


def _gain(shares: NDArray[np.float64]) -> float:
    """Gain in accuracy, 0 to 1, of another doubling."""
    half, whole = (1 - shares[-2:].mean(1)).tolist()
    return float(max(0.0, whole - whole**2 / half)) if half > 0 else 0.0
