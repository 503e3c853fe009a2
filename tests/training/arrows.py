"""Drawn arrows: each class is the mirror image of the other, and only the direction distinguishes them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def arrow(random: np.random.Generator, to_the_right: bool, side: int = 64) -> NDArray[np.uint8]:
    """An arrow of random position, size, proportions and colour on a noisy background of random colour."""
    ground, colour = random.integers(0, 256, 3), random.integers(0, 256, 3)
    while np.abs(ground - colour).sum() < 200:
        colour = random.integers(0, 256, 3)
    image = np.clip(ground + random.normal(0, 8, (side, side, 3)), 0, 255).astype(np.uint8)
    length = random.uniform(0.5, 0.8) * side
    head, height = random.uniform(0.35, 0.5) * length, random.uniform(0.45, 0.7) * length
    shaft = random.uniform(0.2, 0.4) * height
    x = np.array([0, length - head, length - head, length, length - head, length - head, 0])
    y = np.array([-shaft, -shaft, -height, 0, height, shaft, shaft]) / 2
    x = x if to_the_right else length - x
    x, y = x + random.uniform(2, side - length - 2), y + random.uniform(height / 2 + 1, side - height / 2 - 1)
    outline = np.rint(np.stack([x, y], 1) * 16).astype(np.int32)
    cv2.fillPoly(image, [outline], [int(level) for level in colour], cv2.LINE_AA, shift=4)
    return image


def write_arrows(folder: Path, labels: tuple[str, str] = ("left", "right"), count: int = 150, seed: int = 0) -> Path:
    """Writes ``count`` arrows of each class. Those of the first class point to the left."""
    random = np.random.default_rng(seed)
    for to_the_right, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            cv2.imwrite(str(folder / label / f"arrow_{number:03d}.png"), arrow(random, bool(to_the_right)))
    return folder
