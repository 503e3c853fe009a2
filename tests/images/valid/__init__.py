"""Valid files of every kind that the documented formats allow, each with the expected picture.

There is one module for each format, with ``files() -> Files``. A module that writes files itself follows the published
format, and does not use the library that is tested.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Name of the kind, the file, and the expected picture: ``(height, width, 3)``, 0 to 255, on white, upright.
Files = dict[str, tuple[bytes, NDArray[Any]]]

HEIGHT, WIDTH = 37, 53
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]

#: Smooth, so that lossy formats change it little, and different in every corner. Its sides are not multiples of blocks.
RGB = np.stack([_X * 4, _Y * 5 + 20, 250 - _X * 2 - _Y * 2], axis=-1).astype(np.uint8)
GRAY = (_X * 2 + _Y * 3 + 10).astype(np.uint8)
ALPHA = np.clip(300 - _X * 6, 0, 255).astype(np.uint8)


def on_white(rgb: NDArray[Any], alpha: NDArray[Any]) -> NDArray[np.float64]:
    """``rgb`` (0 to 255) composited on white with ``alpha`` (0 to 255)."""
    opacity = np.asarray(alpha, np.float64)[..., None] / 255
    return 255 - opacity * (255 - np.asarray(rgb, np.float64))


def as_rgb(gray: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(np.asarray(gray)[..., None], 3, axis=-1)


def quantised(values: NDArray[Any], bits: int) -> NDArray[np.int64]:
    """Converts values from 0 to 255 to samples of ``bits`` bits, rounded."""
    return np.rint(np.asarray(values, np.float64) * (2**bits - 1) / 255).astype(np.int64)


def widened(samples: NDArray[Any], bits: int) -> NDArray[np.float64]:
    """Converts samples of ``bits`` bits to values from 0 to 255."""
    return np.asarray(samples, np.float64) * 255 / (2**bits - 1)


def packed(samples: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Packs samples ``(rows, n)``, each row from the high bit on, and padded to whole bytes."""
    rows = np.asarray(samples, np.int64).reshape(len(samples), -1)
    places = np.arange(bits - 1, -1, -1)
    ones = (rows[..., None] >> places & 1).astype(np.uint8).reshape(len(rows), -1)
    return np.packbits(ones, axis=1)
