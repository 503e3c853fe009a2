"""Which images the ranges of an 8-bit model are measured on, and what its weights are fitted to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zoo.data import TEST, TRAIN, ImageData
from zoo.errors import ExportError

#: Images that calibration takes where there are as many: ranges need a quarter of them, learning takes all.
COUNT = 512


@dataclass(frozen=True)
class Calibration:
    """The images.

    Args:
        pixels: uint8 ``(n, height, width, 3)``.
        rows: File, label and SHA-256 of each.
    """

    pixels: NDArray[np.uint8]
    rows: tuple[tuple[str, str, str], ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the contents of the files, in order."""
        return hashlib.sha256("".join(sha256 for *_, sha256 in self.rows).encode()).hexdigest()


def halve(data: ImageData) -> ImageData:
    """Data without splits, half of it made training images to calibrate with, the other half left to verify on.

    Within each class by content, so that the halves stay the same when files are renamed, and a picture and its copy
    are on one side.

    Raises:
        ExportError: There are fewer than two different images.
    """
    contents = sorted(set(data.contents))
    if len(contents) < 2:
        raise ExportError(
            f"'{data.source}' holds {len(contents)} usable image(s): calibration and verification need different ones.",
            "Give more images with --data; 200 are plenty.",
        )
    by_class = dict(zip(data.contents, data.classes.tolist(), strict=True))
    ordered = sorted(contents, key=lambda content: (by_class[content], content))
    calibrating = set(ordered[::2])
    return replace(data, splits=tuple(TRAIN if content in calibrating else TEST for content in data.contents))


def leave_out(data: ImageData, calibration: Calibration) -> ImageData:
    """Halved data with every image to verify on whose content calibrates nothing."""
    calibrating = {sha256 for *_, sha256 in calibration.rows}
    return replace(data, splits=tuple(TRAIN if content in calibrating else TEST for content in data.contents))


def choose(data: ImageData, seed: int = 0, count: int = COUNT) -> Calibration:
    """A seeded choice of training images, as many of each class as of any other where there are so many.

    Classes take turns, so that the first few images are a choice as well.

    Args:
        data: With training images.
        seed: Of the choice.
        count: Images wanted; fewer where there are fewer.

    Raises:
        ExportError: There are no training images.
    """
    indices = data.indices(TRAIN)
    if not indices.size:
        raise ExportError(
            "int8 needs photos to measure the range of every tensor on, and there are none.",
            "Export a run, whose training images are used, or give photos with --data. Noise would not do.",
        )
    random = np.random.default_rng(seed)
    queues = [random.permutation(indices[data.classes[indices] == place]).tolist() for place in range(len(data.labels))]
    queues = [queues[place] for place in random.permutation(len(queues))]  # there may be more classes than images
    chosen: list[int] = []
    while len(chosen) < min(count, len(indices)):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop())
    rows = tuple((data.names[index], data.labels[data.classes[index]], data.contents[index]) for index in chosen)
    return Calibration(data.pixels.read(chosen), rows)
