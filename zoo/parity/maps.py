"""Comparison of the evidence maps of an exported file and of Keras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ExportError
from zoo.exported import MappingRuntime
from zoo.terminal import readable


@dataclass(frozen=True, kw_only=True)
class ExpectedMaps:
    """The maps of Keras on a split.

    Args:
        classes: Index of the class that Keras predicts, ``(n,)``.
        maps: Evidence at each position for that class, float32 ``(n, height, width)``.
    """

    classes: NDArray[np.int64]
    maps: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class MapGates:
    """Limits of a map. ``None`` means that a limit does not apply.

    Args:
        max_difference: Maximum difference at a position, as a share of the strongest evidence in the photo.
        min_similarity: Minimum mean correlation with the map of Keras over the photos.
    """

    max_difference: float | None = None
    min_similarity: float | None = None


@dataclass(frozen=True, kw_only=True)
class MapParity:
    """The difference of the maps of a file and of Keras, for the class that Keras predicts.

    Args:
        images: Number of photos compared.
        height, width: Size of the map in positions.
        max_difference: Maximum difference at a position, relative to the strongest evidence in Keras's map of the
            photo.
        worst: File with the maximum difference.
        mean_similarity, lowest_similarity: Correlation of the two maps of a photo, -1 to 1: the mean over the photos
            and the lowest.
        limits: The limits.
    """

    images: int
    height: int
    width: int
    max_difference: float
    worst: str
    mean_similarity: float
    lowest_similarity: float
    limits: MapGates

    @property
    def failures(self) -> Iterator[str]:
        """Sentences on failures. Empty if the map passed."""
        limit = self.limits.max_difference
        if limit is not None and not self.max_difference <= limit:
            yield (
                f"A position of the map differs from that of Keras by {self.max_difference:.3g} of the strongest "
                f"evidence ({readable(self.worst)}); {limit:g} is allowed."
            )
        limit = self.limits.min_similarity
        if limit is not None and not self.mean_similarity >= limit:
            yield (
                f"The mean correlation of the maps with those of Keras is {self.mean_similarity:.3f}; at least "
                f"{limit:g} is required."
            )

    @property
    def summary(self) -> str:
        """One line with the figures and the limits."""
        limits = self.limits
        least = "" if limits.min_similarity is None else f" (at least {limits.min_similarity:g} required)"
        most = "" if limits.max_difference is None else f" (at most {limits.max_difference:g} allowed)"
        return (
            f"correlation with Keras: mean {self.mean_similarity:.4f}{least}, lowest {self.lowest_similarity:.4f}; "
            f"max difference {self.max_difference:.3g} of the strongest evidence{most}"
        )


_GATES = {
    "float32": MapGates(max_difference=1e-3),
    "float16": MapGates(max_difference=0.05),
    "int8": MapGates(min_similarity=0.9),
}


class MapReader:
    """A runtime that stores the map of the class that Keras predicts, photo by photo."""

    def __init__(self, runtime: MappingRuntime, classes: NDArray[np.int64]) -> None:
        self._runtime, self._classes = runtime, classes
        self.maps: list[NDArray[np.float32]] = []

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities, maps = self._runtime.explain(images)
        self.maps.append(np.asarray(maps[0, :, :, int(self._classes[len(self.maps)])], np.float32))
        return probabilities


def compare_maps(
    expected: ExpectedMaps, found: Sequence[NDArray[np.float32]], files: Sequence[str], precision: str
) -> MapParity:
    """Compares the maps of a file and of Keras, photo by photo.

    Args:
        expected: Maps of Keras.
        found: Maps of the file, in the same order.
        files: Names of the photos.
        precision: Precision of the file, which determines the limits.

    Raises:
        ExportError: The maps have different sizes.
    """
    maps = np.stack(found)
    if maps.shape != expected.maps.shape:
        raise ExportError(f"The maps of the file have the shape {maps.shape[1:]}; expected {expected.maps.shape[1:]}.")
    ours, theirs = (values.reshape(len(maps), -1).astype(np.float64) for values in (maps, expected.maps))
    strongest = np.maximum(np.abs(theirs).max(axis=1), 1e-12)
    difference = np.abs(ours - theirs).max(axis=1) / strongest
    difference = np.where(np.isfinite(difference), difference, np.inf)
    similarity = np.array([_correlation(one, other) for one, other in zip(ours, theirs, strict=True)])
    worst = int(difference.argmax())
    return MapParity(
        images=len(maps),
        height=maps.shape[1],
        width=maps.shape[2],
        max_difference=float(difference[worst]),
        worst=files[worst],
        mean_similarity=float(similarity.mean()),
        lowest_similarity=float(similarity.min()),
        limits=_GATES.get(precision, _GATES["float32"]),
    )


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Pearson correlation. 1 if both maps are constant, 0 if only one of them is."""
    if not np.isfinite(one).all():
        return -1.0
    one, other = one - one.mean(), other - other.mean()
    lengths = float(np.sqrt((one @ one) * (other @ other)))
    if lengths < 1e-12:
        return 1.0 if np.allclose(one, other) else 0.0
    return float(one @ other / lengths)
