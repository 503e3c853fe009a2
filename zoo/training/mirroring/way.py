"""The ways in which an image can be mirrored or turned, each of which is its own inverse."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Way = Literal["horizontal", "vertical", "turn"]

#: Descriptions for a sentence, after "when".
WORDS: dict[Way, str] = {
    "horizontal": "mirrored left to right",
    "vertical": "mirrored top to bottom",
    "turn": "turned upside down",
}


def changed(images: NDArray[np.float32], way: Way) -> NDArray[np.float32]:
    """Images ``(..., height, width)``, mirrored or turned."""
    if way == "horizontal":
        return images[..., ::-1]
    return images[..., ::-1, :] if way == "vertical" else images[..., ::-1, ::-1]
