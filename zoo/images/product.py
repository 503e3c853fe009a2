"""Products of two bytes that stand for 0 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Values that are multiplied at once. More do not fit in the cache of a processor.
_AT_ONCE = 2**17


def product(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The nearest integers to ``one * other / 255``.

    In whole numbers, because processors differ in ``cv2.multiply(one, other, scale=1 / 255)``: ARM truncates.

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
