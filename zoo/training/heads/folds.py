"""Folds for cross-validation that keep similar images together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Images of a class are kept in one fold if the squared distance of their features is at most this share of the median
#: in the class. Otherwise, two photos of one object, or two versions of one photo, would be used to predict each other.
#: docs/decisions/0020-heads.md
ALIKE_UP_TO = 0.1


def group_lookalikes(features: NDArray[np.floating], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Groups of images of one class that are similar, directly or through other images.

    Args:
        features: ``(n, d)`` feature vectors.
        classes: ``(n,)`` class of each image.

    Returns:
        ``(n,)`` number of each image's group.
    """
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial.distance import pdist, squareform

    groups = np.empty(len(classes), np.int64)
    made = 0
    for label in np.unique(classes):
        of_class = np.flatnonzero(classes == label)
        distances = pdist(features[of_class], "sqeuclidean")
        alike = distances <= ALIKE_UP_TO * np.median(distances) if distances.size else np.zeros(0, bool)
        found, numbers = connected_components(squareform(alike), directed=False)
        groups[of_class] = made + numbers
        made += found
    return groups


def divide_into_folds(
    classes: NDArray[np.int64], groups: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.int64]:
    """The fold of every image, with about equal shares of every class and no group in two folds.

    A class that has at least ``count`` groups has images in every fold.

    Args:
        classes: ``(n,)`` class of each image.
        groups: ``(n,)`` group of each image, each of one class.
        count: Number of folds, at least 2.
        seed: Seed of the order in which groups of equal size are assigned.

    Returns:
        ``(n,)`` from 0 to ``count - 1``.
    """
    generator = np.random.default_rng(seed)
    folds = np.empty(len(classes), np.int64)
    filled = np.zeros((int(classes.max()) + 1, count), np.int64)
    members, sizes = np.unique(groups, return_counts=True)
    dealt = generator.permutation(len(members))
    # The largest groups are assigned first, so that the smaller ones can balance the folds.
    for place in dealt[np.argsort(-sizes[dealt], kind="stable")].tolist():
        images = np.flatnonzero(groups == members[place])
        label = int(classes[images[0]])
        # The fold with the fewest images of the class is chosen. If this holds for several folds, the one with the
        # fewest images of all classes is chosen, so that small classes are distributed over the folds.
        fold = int(np.lexsort((generator.random(count), filled.sum(0), filled[label]))[0])
        filled[label, fold] += len(images)
        folds[images] = fold
    return folds
