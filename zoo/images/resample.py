"""Resizes with integers, so that all processors, and JavaScript, compute the same pixels.

Along each axis, a pixel of the result is a weighted sum of source pixels, and the weights are integers. The sum over
both axes is exact. It is divided by the sum of the weights and rounded once, halves up. OpenCV computes averages and
bicubic interpolation in single precision instead, and processors round intermediate results differently
(``docs/decisions/0026-arm.md``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cv2.typing import MatLike

#: Number of fractional bits of the fixed-point weights of ``bicubic``.
_CUBIC_BITS = 11
_CUBIC_A = -0.75

# Number of (rows of the result) x (columns of the image) that are computed at once. More do not fit in the cache of a
# processor.
_AT_ONCE = 2**14


def bilinear(image: MatLike, height: int, width: int) -> MatLike:
    """Interpolates between the two nearest pixels of each axis. The weights have 8 fractional bits."""
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)


def bicubic(image: MatLike, height: int, width: int) -> MatLike:
    """Interpolates between the four nearest pixels of each axis (Keys, 1981, a = -0.75).

    The weights have 11 fractional bits.
    """
    rows, columns = image.shape[:2]
    if rows * width < height * columns:  # the order of the axes does not change the sums
        return cv2.transpose(bicubic(cv2.transpose(image), width, height))
    made = np.empty((width, height, 3), np.uint8)
    row_places, row_weights = _cubic_weights(rows, height)
    column_places, column_weights = _cubic_weights(columns, width)
    count = max(_AT_ONCE // columns, 1)
    for start in range(0, height, count):
        part = slice(start, start + count)
        lines = _weighted(image, row_places[:, part], row_weights[:, part])
        sums = _weighted(np.asarray(cv2.transpose(lines)), column_places, column_weights)
        sums += 1 << 2 * _CUBIC_BITS - 1
        sums >>= 2 * _CUBIC_BITS
        made[:, part] = np.clip(sums, 0, 255)
    return cv2.transpose(made)


def _cubic_weights(length: int, size: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The four source pixels of an axis for each pixel of the result, and their weights. Both are ``(4, size)``."""
    first, rest = np.divmod((2 * np.arange(size) + 1) * length - size, 2 * size)
    x = rest / (2 * size)
    before = _CUBIC_A * x * (1 - x) * (1 - x)
    nearest = ((_CUBIC_A + 2) * x - (_CUBIC_A + 3)) * x * x + 1
    last = _CUBIC_A * x * x * (1 - x)
    one = 1 << _CUBIC_BITS
    weights = np.floor(np.stack([before, nearest, np.zeros(size), last]) * one + 0.5).astype(np.int32)
    weights[2] = one - weights.sum(axis=0)
    return np.clip(first + np.arange(-1, 3)[:, None], 0, length - 1), weights


def _weighted(image: NDArray[Any], places: NDArray[np.int64], weights: NDArray[np.int32]) -> NDArray[np.int32]:
    """Weighted sums along the first axis. After two calls, one for each axis, they are still below 2**31."""
    sums: NDArray[np.int32] = np.zeros((places.shape[1], *image.shape[1:]), np.int32)
    for place, weight in zip(places, weights, strict=True):
        part = image.take(place, axis=0).astype(np.int32)
        part *= weight[:, None, None]
        sums += part
    return sums


def mean(image: MatLike, height: int, width: int) -> MatLike:
    """Averages the part of the image that each pixel of a smaller result covers, rounded, halves up.

    Args:
        image: ``(H, W, 3)`` uint8.
        height, width: Size of the result, at most ``H`` and ``W``.
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    # Sums of uint32 may overflow: they are computed modulo 2**32, and the final sums are smaller than that. The sums of
    # larger images are below 2**53, so that float64 is exact.
    kind: type[np.uint32] | type[np.float64] = np.uint32 if rows * columns <= 2**23 else np.float64
    top, bottom, above, below = _borders(rows, height, kind)
    left, right, before, after = _borders(columns, width, kind)
    made = np.empty((width, height, 3), np.uint8)
    count = max(_AT_ONCE // columns, 1)
    for start in range(0, height, count):
        end = min(start + count, height)
        band = image[top[start] : bottom[end]]
        is_small = 255 * band.shape[0] * columns < 2**31
        # For each pixel, the sum over all pixels above it and to its left.
        corners = cv2.integral(band, sdepth=cv2.CV_32S if is_small else cv2.CV_64F)
        lines = corners.take(np.concatenate([top[start : end + 1], bottom[start : end + 1]]) - top[start], axis=0)
        # Columns become the first axis, along which NumPy is fastest.
        lines = cv2.transpose(lines).reshape(columns + 1, -1)
        if kind is np.uint32:
            lines = lines.view(kind)
        sums = lines.take(left, axis=0) * before[:, None]
        sums += lines.take(right, axis=0) * after[:, None]
        sums = (sums[1:] - sums[:-1]).reshape(width, 2, -1)
        # A weight for each channel, because NumPy is slow where the last axis of an operand is short.
        cells = sums[:, 0] * above[start : end + 1].repeat(3)
        cells += sums[:, 1] * below[start : end + 1].repeat(3)
        cells = cells[:, 3:] - cells[:, :-3]
        cells += kind(rows * columns // 2)
        cells //= kind(rows * columns)
        made[:, start:end] = cells.reshape(width, -1, 3)
    return cv2.transpose(made)


def _borders(length: int, size: int, kind: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The borders at which an axis of ``length`` pixels is divided into ``size`` equal parts.

    Returns, for each border, the nearest borders between pixels before and after it. The sum of all pixels up to it is
    the weighted sum of the sums up to these two, whose weights are returned in units of ``1 / size``.
    """
    first, rest = np.divmod(np.arange(size + 1) * length, size)
    return first, np.minimum(first + 1, length), (size - rest).astype(kind), rest.astype(kind)
