"""Writes the digits as files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_digits


def write(folder: Path) -> None:
    """Writes 1797 gray PNG files of 8x8 px into class folders ``0`` to ``9``.

    Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI, CC BY 4.0; the copy in
    scikit-learn, whose values 0..16 are scaled to 0..255.
    """
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    for label in digits.target_names:
        (folder / str(label)).mkdir()
    for index, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
        encoded = cv2.imencode(".png", image)[1]
        (folder / str(label) / f"digit_{index:04d}.png").write_bytes(encoded.tobytes())
