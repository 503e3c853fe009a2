"""The calibration images of an 8-bit model, on which its ranges are measured and its weights are fitted."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zoo.data import TEST, TRAIN, ImageData
from zoo.errors import DataError, ExportError


@dataclass(frozen=True)
class Effort:
    """How much time the quantisation of a model may take. docs/decisions/0006-int8.md says what each gains.

    Args:
        images: Maximum number of calibration images. Ranges are measured on 128 of them; distillation uses all.
        steps: Number of steps of the distillation, of 8 images each.
    """

    images: int
    steps: int


#: By the names of ``INT8_EFFORTS``.
EFFORTS = {"quick": Effort(128, 40), "best": Effort(512, 150)}
#: Maximum difference between pixel values in an image of a single colour. Compression causes small differences.
_NOISE = 2


@dataclass(frozen=True)
class Calibration:
    """Calibration images.

    Args:
        pixels: Pixels, uint8 ``(n, height, width, 3)``.
        rows: File, label and SHA-256 of each image.
    """

    pixels: NDArray[np.uint8]
    rows: tuple[tuple[str, str, str], ...]

    @property
    def digest(self) -> str:
        """SHA-256 over the contents of the files, in order."""
        return hashlib.sha256("".join(sha256 for *_, sha256 in self.rows).encode()).hexdigest()


def halve(data: ImageData) -> ImageData:
    """Splits data without splits: one half becomes training images for calibration, the other is used for verification.

    Each class is split by content, so that the halves do not change if files are renamed, and an image and its copy
    are in the same half.

    Raises:
        ExportError: There are fewer than two different images.
    """
    contents = sorted(set(data.contents))
    if len(contents) < 2:
        raise ExportError(
            f"'{data.source}' contains {len(contents)} usable image(s). Calibration and verification need different"
            " images.",
            "Give more images with --data. 200 are sufficient.",
        )
    by_class = dict(zip(data.contents, data.classes.tolist(), strict=True))
    ordered = sorted(contents, key=lambda content: (by_class[content], content))
    calibrating = set(ordered[::2])
    return replace(data, splits=tuple(TRAIN if content in calibrating else TEST for content in data.contents))


def leave_out(data: ImageData, calibration: Calibration) -> ImageData:
    """The halved data, in which all images that are not used for calibration are used for verification."""
    calibrating = {sha256 for *_, sha256 in calibration.rows}
    return replace(data, splits=tuple(TRAIN if content in calibrating else TEST for content in data.contents))


def keep_apart(data: ImageData, split: str, calibrating: Collection[str]) -> ImageData:
    """Removes the images that calibrate from a split that is used for verification.

    Args:
        data: Data with images for verification.
        split: Name of the split: ``val`` or ``test``.
        calibrating: SHA-256 of the images that calibrate.

    Raises:
        DataError: No image remains.
    """
    judged = data.indices(split)
    common = {index for index in judged.tolist() if data.contents[index] in calibrating}
    if not common:
        return data
    if len(common) == len(judged):
        raise DataError(
            f"All {len(judged)} images for verification calibrate the 8-bit file.",
            "Give images with --data that are not training images.",
        )
    return replace(data, splits=tuple(TRAIN if index in common else name for index, name in enumerate(data.splits)))


def choose(data: ImageData, seed: int, count: int) -> Calibration:
    """Chooses training images at random, with the same number from each class if there are enough.

    Classes alternate, so that the first few images are balanced as well.

    Args:
        data: Data with training images.
        seed: Seed of the choice.
        count: Number of images. If there are fewer, all are used.

    Raises:
        ExportError: There are no training images.
    """
    indices = data.indices(TRAIN)
    if not indices.size:
        raise ExportError(
            "int8 needs photos to measure the range of every tensor, and there are none.",
            "Export a run, whose training images are used, or give photos with --data. Random noise is not suitable.",
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


def choose_unlabelled(photos: ImageData, seed: int, count: int) -> tuple[Calibration, int]:
    """Chooses photos without labels at random, and counts the photos of a single colour, which are omitted.

    Args:
        photos: The photos.
        seed: Seed of the choice.
        count: Number of photos. If there are fewer, all are used.
    """
    # Sorted by content, so that the names of the files have no effect.
    order = sorted(range(len(photos.names)), key=lambda index: photos.contents[index])
    chosen: list[int] = []
    pixels, blank = [], 0
    for index in np.random.default_rng(seed).permutation(np.array(order, np.int64)).tolist():
        if len(chosen) == count:
            break
        (photo,) = photos.pixels.read([index])
        if (np.ptp(photo, axis=(0, 1)) <= _NOISE).all():
            blank += 1
        else:
            chosen.append(index)
            pixels.append(photo)
    rows = tuple((photos.names[index], "", photos.contents[index]) for index in chosen)
    shape = (0, *photos.spec.input_shape)
    return Calibration(np.stack(pixels) if pixels else np.zeros(shape, np.uint8), rows), blank


def together(one: Calibration, other: Calibration, count: int) -> Calibration:
    """Alternates the images of two calibrations, so that the first few are from both. At most ``count`` are used."""
    pairs = itertools.zip_longest(enumerate(one.rows), enumerate(other.rows))
    mixed = [(source, *item) for pair in pairs for source, item in zip((one, other), pair, strict=True) if item]
    pixels = [source.pixels[place] for source, place, _ in mixed[:count]]
    return Calibration(np.stack(pixels), tuple(row for *_, row in mixed[:count]))
