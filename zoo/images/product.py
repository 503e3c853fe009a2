"""Multiplies bytes that represent values from 0 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Number of values that are multiplied at once. More do not fit in the cache of a processor.
_AT_ONCE = 2**17


def product(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The nearest integers to ``one * other / 255``.

    They are computed with integers, because ``cv2.multiply(one, other, scale=1 / 255)`` rounds on x86 and truncates on
    ARM.

    Args:
        one, other: Arrays of the same shape.
    """
    made = np.empty_like(one)
    count = max(_AT_ONCE * len(one) // max(one.size, 1), 1)
    for start in range(0, len(one), count):
        part = slice(start, start + count)
        values = np.multiply(one[part], other[part], dtype=np.uint16)
        values += 128
        values += values >> 8
        made[part] = values >> 8
    return made
