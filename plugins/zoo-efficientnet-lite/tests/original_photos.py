"""The photos with which the original was checked, preprocessed with Pillow as for the original."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np


def rows(data: Path) -> list[dict[str, str]]:
    """The 200 photos of ``nips17_sample``: ``file``, ``true_index`` and more."""
    with (data / "nips17_sample.reference.tsv").open(newline="") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def cropped(path: Path, size_px: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """``(size_px, size_px, 3)``: resizes the shorter side to 32 px more (bicubic), then crops the centre."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    scale = (size_px + 32) / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - size_px) // 2, (image.height - size_px) // 2
    return np.asarray(image.crop((left, top, left + size_px, top + size_px)), dtype="float32")
