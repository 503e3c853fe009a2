"""Remarks on images that are used."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zoo.images.probe import probe

#: What samples of 12 bits become, taken for 16: at most so bright, of 255.
NEARLY_BLACK = 16


def remark(data: bytes, pixels: npt.NDArray[np.uint8]) -> str:
    """A remark of a few words on a decoded image, or an empty string.

    Args:
        data: The whole file.
        pixels: What ``decode`` returned.
    """
    header = probe(data)
    if not header.has_end:
        return "JPEG without end marker, otherwise complete"
    if header.bits > 8 and 0 < pixels.max(initial=0) <= NEARLY_BLACK:
        return f"nearly black {header.format} of {header.bits} bits: its samples may use fewer of them"
    return ""
