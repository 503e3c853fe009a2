"""Measures on the training images whether the mirrored images of one class look like those of another.

Every image is described by small patches from the images: how well each patch fits at its best position, and how often
it fits in the whole image and in each quarter. Each patch is used together with its mirror image, so the description of
a mirrored image is that of the image with patches and quarters exchanged. A cross-validated linear model of the
descriptions then predicts the class of a held-out image, original and mirrored. This needs no pretrained network and
finds shapes at any position.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.data import TRAIN, ImageData
from zoo.training.mirroring.way import Way, changed

#: Maximum number of images per class and in total. 500 images take 0.1 s on one core.
_MOST_OF_A_CLASS, _MOST = 100, 3000
#: Minimum number of images of a class.
_FEWEST = 8
#: Probability of reporting a pair in a dataset in which mirroring makes no difference.
_ERROR = 0.01
#: Significance level of the second and the third condition of ``_clearest``.
_PAIR_ERROR = 0.05

#: Side of the image, side of the patches, and distance between patches in pixels. The positions are mirror-symmetric.
_SCALES = ((32, 8, 2), (16, 7, 1))
_PATCHES = 100
_FOLDS = 5
#: Number of images that are processed together, so that their values stay in the processor's cache.
_TOGETHER = 16
_RIDGE = 0.3
#: Added to the norm of a patch, so that a uniform patch matches nothing.
_FAINT = 0.1
#: Minimum cosine similarity at which a patch counts as found.
_FOUND = 0.3

Floats = NDArray[np.float32]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Swap:
    """A class that looks like another one when its images are mirrored.

    Args:
        label: The class.
        other: The class that it looks like when mirrored.
        images: Number of measured images of the class.
        unchanged: Number of them that look like the other class without mirroring.
        changed: Number of them that look like the other class when mirrored.
    """

    label: str
    other: str
    images: int
    unchanged: int
    changed: int


def measured_swap(data: ImageData, way: Way) -> Swap | None:
    """The clearest pair of classes that mirroring exchanges, if there is one.

    Args:
        data: The data. Its training images are measured.
        way: The type of mirroring.
    """
    random = np.random.default_rng(0)
    chosen = _choose(data, random)
    classes, positions = np.unique(data.classes[chosen], return_inverse=True)
    if len(classes) < 2:
        return None
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):  # the matrices are small, so two threads take six times as long
        plain, other = _describe(_gray(data, chosen), way, random)
        predictions = _predict(plain, other, positions, len(classes), random)
    before, after = (_confusion(positions, given, len(classes)) for given in predictions)
    both = np.zeros((2, len(classes), len(classes)), np.int64)  # predictions gained and lost by mirroring
    for truth, first, second in zip(positions, *predictions, strict=True):
        if first != second:
            both[0, truth, second] += 1
            both[1, truth, first] += 1
    pair = _clearest(before, after, both)
    if pair is None:
        return None
    label, looks_like = pair
    return Swap(
        label=data.labels[classes[label]],
        other=data.labels[classes[looks_like]],
        images=int(before[label].sum()),
        unchanged=int(before[label, looks_like]),
        changed=int(after[label, looks_like]),
    )


def _choose(data: ImageData, random: np.random.Generator) -> NDArray[np.int64]:
    """Chooses training images, the same number of each class."""
    indices = data.indices(TRAIN)
    of_class = [indices[data.classes[indices] == place] for place in range(len(data.labels))]
    most = min(_MOST_OF_A_CLASS, _MOST // len(data.labels))
    chosen = [random.permutation(found)[:most] for found in of_class if min(len(found), most) >= _FEWEST]
    return np.concatenate(chosen) if chosen else np.empty(0, np.int64)


def _gray(data: ImageData, chosen: NDArray[np.int64]) -> Floats:
    """Gray images of the largest scale, 0 to 1."""
    side = _SCALES[0][0]
    grays = []
    for start in range(0, len(chosen), _TOGETHER):
        for image in data.pixels.read(chosen[start : start + _TOGETHER]):
            small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            grays.append(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    return np.stack(grays).astype(np.float32) / np.float32(255)


def _describe(grays: Floats, way: Way, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Descriptions ``(n, values)`` of the images, and of the mirrored images."""
    plain, mirrored = [], []
    for side, patch, step in _SCALES:
        images = grays if grays.shape[1] == side else np.stack([cv2.resize(one, (side, side)) for one in grays])
        for found, other in _fits(images, patch, step, way, random):
            plain.append(found)
            mirrored.append(other)
    return np.concatenate(plain, 1), np.concatenate(mirrored, 1)


def _fits(images: Floats, side: int, step: int, way: Way, random: np.random.Generator) -> list[tuple[Floats, Floats]]:
    """How well patches fit in the images and in the mirrored images."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (side, side), axis=(1, 2))[:, ::step, ::step]
    count, places = len(windows), windows.shape[1]
    flat = windows.reshape(count, places**2, side**2)
    flat = flat - flat.mean(-1, keepdims=True)
    norms = np.linalg.norm(flat, axis=-1)
    flat /= norms[..., None] + _FAINT
    # Patches with more texture are drawn more often.
    shares = (norms + 1e-6) / (norms + 1e-6).sum(1, keepdims=True)
    sources = random.integers(0, count, _PATCHES)
    bank = np.stack([flat[image, random.choice(places**2, p=shares[image])] for image in sources])
    bank /= np.linalg.norm(bank, axis=1, keepdims=True) + 1e-6
    turned = changed(bank.reshape(-1, side, side), way).reshape(bank.shape)
    both = np.concatenate([bank, turned]).T
    half = -(-places // 2)
    best, often = np.empty((count, 2 * _PATCHES), np.float32), np.empty((count, 2, 2, 2 * _PATCHES), np.float32)
    for start in range(0, count, _TOGETHER):
        part = slice(start, start + _TOGETHER)
        fit = (flat[part].reshape(-1, side**2) @ both).reshape(-1, places, places, 2 * _PATCHES)
        best[part] = fit.max((1, 2))
        fit = np.maximum(fit - _FOUND, 0)
        for row, rows in enumerate((fit[:, :half].sum(1), fit[:, -half:].sum(1))):
            often[part, row, 0] = rows[:, :half].sum(1)
            often[part, row, 1] = rows[:, -half:].sum(1)
    exchanged = np.roll(np.arange(2 * _PATCHES), _PATCHES)
    quarters = np.moveaxis(often, -1, 1)  # (n, patches, 2, 2)
    return [
        (best, best[:, exchanged]),
        (often.sum((1, 2)), often.sum((1, 2))[:, exchanged]),
        (quarters.reshape(count, -1), changed(quarters[:, exchanged], way).reshape(count, -1)),
    ]


def _predict(
    plain: Floats, mirrored: Floats, positions: NDArray[np.int64], classes: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Predicts images, original and mirrored, with ridge regressions that were trained on neither."""
    together = np.concatenate([plain, mirrored])
    middle, spread = together.mean(0), together.std(0) + 1e-3
    plain, mirrored = (plain - middle) / spread, (mirrored - middle) / spread
    targets = np.eye(classes, dtype=np.float32)[positions]
    folds = np.empty(len(positions), np.int64)
    for place in range(classes):
        of_class = random.permutation(np.flatnonzero(positions == place))
        folds[of_class] = np.arange(len(of_class)) % _FOLDS
    predictions = np.empty((2, len(positions)), np.int64)
    for fold in range(_FOLDS):
        seen, unseen = folds != fold, folds == fold
        weights = np.sqrt(1 / np.bincount(positions[seen], minlength=classes)[positions[seen]])[:, None]
        centre = np.average(plain[seen], axis=0, weights=weights[:, 0] ** 2)
        level = np.average(targets[seen], axis=0, weights=weights[:, 0] ** 2)
        inputs = ((plain[seen] - centre) * weights).astype(np.float32)
        kernel = inputs @ inputs.T
        # The constant keeps the matrix invertible if all images are uniform and have the same description.
        kernel[np.diag_indices_from(kernel)] += _RIDGE * np.trace(kernel) / len(kernel) + 1e-6
        slopes = inputs.T @ np.linalg.solve(kernel, (targets[seen] - level) * weights)
        for row, images in zip(predictions, (plain, mirrored), strict=True):
            row[unseen] = ((images[unseen] - centre) @ slopes + level).argmax(1)
    return predictions[0], predictions[1]


def _confusion(truth: NDArray[np.int64], given: NDArray[np.int64], classes: int) -> Counts:
    found = np.zeros((classes, classes), np.int64)
    np.add.at(found, (truth, given), 1)
    return found


def _clearest(before: Counts, after: Counts, moved: Counts) -> tuple[int, int] | None:
    """The most significant pair ``(class, other class)`` that mirroring exchanges.

    Three conditions must hold. First, mirroring makes images look like the other class significantly more often than
    the reverse (sign test, corrected for the number of pairs). Second, mirrored images are predicted as the other class
    about as often as images of that class are: more than halfway from the rate without mirroring. Third, the reverse
    exchange exists as well, because mirroring is its own inverse. Otherwise, mirrored images are only unusual for the
    linear model.
    """
    gained, lost = moved
    classes = len(before)
    images = before.sum(1)
    chance = _at_least(gained, gained + lost, np.full_like(before, 0.5, dtype=np.float64))
    shares = before / images[:, None]
    half_way = (shares + np.diag(shares)[None]) / 2
    beyond = _at_least(after, np.broadcast_to(images[:, None], after.shape), half_way)
    real = (chance < _ERROR / (classes * (classes - 1))) & (beyond < _PAIR_ERROR) & (chance.T < _PAIR_ERROR)
    np.fill_diagonal(real, False)
    if not real.any():
        return None
    label, other = np.unravel_index(np.where(real, chance, 2.0).argmin(), real.shape)
    return int(label), int(other)


def _at_least(successes: Counts, trials: Counts, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability of at least this number of successes."""
    from scipy.special import bdtrc  # scipy.stats takes a second to import

    return np.asarray(bdtrc(successes - 1, trials, share), np.float64)
