"""Small fingerprints of images and of windows in them, to find crops, copies and mirror images.

A fingerprint is an image of 12 x 12 gray values without low frequencies (lighting, background), normalised to mean 0
and length 1, so that the dot product of two is their correlation. Each image has a fingerprint of the whole and of 18
windows. The whole of a cropped copy correlates with a window of the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.audit.nearest import Pairs, nearest, pairs_above
from zoo.data.ingest import Progress

Fingerprints = NDArray[np.float32]

_SIDE = 12
_BASE = 48  # width and height of the picture before windows are cut
_SHADE_PX = 17  # wavelength in pixels above which a variation is treated as shading


@dataclass(frozen=True)
class Window:
    """A part of an image, in fractions of its sides."""

    top: float
    left: float
    size: float

    def mirrored(self) -> Window:
        return Window(self.top, 1 - self.left - self.size, self.size)


WHOLE = Window(0, 0, 1)
_THIRDS = (0.0, 0.5, 1.0)
WINDOWS: tuple[Window, ...] = (
    WHOLE,
    *(Window(y * (1 - size), x * (1 - size), size) for size in (0.92, 0.83) for y in _THIRDS for x in _THIRDS),
)


def fingerprints(image: NDArray[np.uint8]) -> Fingerprints:
    """Fingerprints of every window of one RGB image of any size: ``(len(WINDOWS), 144)``."""
    gray = cv2.cvtColor(cv2.resize(image, (_BASE, _BASE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    values = gray.astype(np.float32)
    detail = values - cv2.blur(values, (_SHADE_PX, _SHADE_PX))
    found = np.empty((len(WINDOWS), _SIDE, _SIDE), np.float32)
    for place, window in enumerate(WINDOWS):
        top, left, size = round(window.top * _BASE), round(window.left * _BASE), round(window.size * _BASE)
        part = detail[top : top + size, left : left + size]
        found[place] = cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    flat = found.reshape(len(WINDOWS), -1)
    flat -= flat.mean(1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), np.float32)


def mirrored(prints: Fingerprints) -> Fingerprints:
    """Fingerprints of the mirror image, ``(..., windows, 144)``, in the order of ``WINDOWS``."""
    square = prints.reshape(*prints.shape[:-1], _SIDE, _SIDE)
    return np.ascontiguousarray(square[..., ::-1]).reshape(prints.shape)


@dataclass(frozen=True)
class Overlap:
    """A possible overlap of two images.

    Args:
        correlation: Correlation of the two windows, -1 to 1.
        first, second: The windows. If ``mirror``, the second is a window of the mirror image.
        mirror: Whether the second image is mirrored.
    """

    correlation: float
    first: Window
    second: Window
    mirror: bool


def overlaps(first: Fingerprints, second: Fingerprints) -> list[Overlap]:
    """Possible overlaps of two images, most likely first, in which at least one window is the whole image.

    Args:
        first, second: ``(len(WINDOWS), 144)`` each.
    """
    found = []
    for mirror, other in ((False, second), (True, mirrored(second))):
        for place, correlation in enumerate(first[0] @ other.T):
            window = WINDOWS[place].mirrored() if mirror else WINDOWS[place]
            found.append(Overlap(float(correlation), WHOLE, window, mirror))
        for place, correlation in enumerate(first[1:] @ other[0], start=1):
            found.append(Overlap(float(correlation), WINDOWS[place], WHOLE, mirror))
    return sorted(found, key=lambda overlap: -overlap.correlation)


def most_similar(
    queries: Sequence[int],
    others: Sequence[int],
    prints: Fingerprints,
    least: float,
    most: int,
    windows: int = len(WINDOWS),
    progress: Progress | None = None,
) -> Pairs:
    """Pairs ``(i, j)``, ``i < j``, of one image of ``queries`` and one of ``others`` that may overlap.

    Args:
        queries, others: Indices into ``prints``. Both may contain the same index.
        prints: Fingerprints, ``(n, windows or more, 144)``.
        least: Minimum correlation.
        most: Maximum number of pairs per query; the most similar are kept.
        windows: Number of windows to compare. With 1, no crops are found, and the search takes a twentieth of the time.
        progress: Called with queries done and queries to do.
    """
    rows, columns = np.asarray(queries, np.intp), np.asarray(others, np.intp)

    def correlations(some: slice, with_others: slice) -> NDArray[np.float32]:
        block, chosen = rows[some], columns[with_others]
        correlation = np.full((len(block), len(chosen)), -1, np.float32)
        plain = prints[chosen, :windows]
        for side in (plain, mirrored(plain)):
            for window in range(windows):
                np.maximum(correlation, prints[block, 0] @ side[:, window].T, out=correlation)
                if window:
                    np.maximum(correlation, prints[block, window] @ side[:, 0].T, out=correlation)
        correlation[block[:, None] == chosen[None, :]] = -1
        return correlation

    return pairs_above(nearest(correlations, len(rows), len(columns), most, progress), least, rows, columns)
