"""Augmentation on uint8 pixels: one affine warp and one colour matrix an image, on OpenCV and NumPy alone.

An image's augmentation depends on (seed, epoch, index) and nothing else: not on threads, batches or what came before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.recipe import Augmentation

Image = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """How far an augmentation may go.

    Args:
        rotation_degrees: Rotation to either side.
        zoom: Smallest and largest scale factor; below 1 shows more than the picture, its edge repeated.
        aspect: Largest factor by which one side is stretched against the other, either way.
        shift: Shift to either side, as a share of the image's side.
        flip: Whether half of the images are mirrored left to right.
        brightness: Largest change of the brightness factor.
        contrast: Largest change of the contrast factor, about mid-gray.
        saturation: Largest change of the saturation factor.
        erase: Chance that a rectangle is blanked (Zhong et al. 2017, Random Erasing).
    """

    rotation_degrees: float = 0.0
    zoom: tuple[float, float] = (1.0, 1.0)
    aspect: float = 1.0
    shift: float = 0.0
    flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    erase: float = 0.0


RANGES: dict[Augmentation, Ranges] = {
    # The founding tutorial's ImageDataGenerator: rotation 30, zoom 0.2, shifts 0.1, horizontal flip, edges repeated.
    "article": Ranges(rotation_degrees=30, zoom=(0.8, 1.2), shift=0.1),
    "strong": Ranges(
        rotation_degrees=15,
        zoom=(1.0, 1.6),
        aspect=1.2,
        shift=0.1,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        erase=0.25,
    ),
}


def random_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one image in one epoch: a counter-based stream of its own (Philox, Salmon et al. 2011)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], np.uint64), counter=[0, 0, 0, index]))


def augment(image: Image, augmentation: Augmentation, random: np.random.Generator) -> Image:
    """One augmented copy.

    Args:
        image: uint8 RGB ``(height, width, 3)``; not changed.
        augmentation: ``none``, ``article`` or ``strong``.
        random: Where the choices come from.

    Returns:
        uint8 RGB of the same shape.
    """
    if augmentation == "none":
        return image
    ranges = RANGES[augmentation]
    height, width = image.shape[:2]
    warped = cv2.warpAffine(
        image,
        _affine(ranges, width, height, random),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if ranges.brightness or ranges.contrast or ranges.saturation:
        warped = cv2.transform(warped, _colour_matrix(ranges, random))
    augmented = np.asarray(warped, np.uint8)
    if ranges.erase and random.random() < ranges.erase:
        _erase(augmented, random)
    return augmented


def _affine(ranges: Ranges, width: int, height: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The 2x3 matrix from output to input pixels, about the centre."""
    angle = math.radians(random.uniform(-ranges.rotation_degrees, ranges.rotation_degrees))
    zoom = math.exp(random.uniform(math.log(ranges.zoom[0]), math.log(ranges.zoom[1])))
    stretch = math.exp(random.uniform(-0.5, 0.5) * math.log(ranges.aspect))
    shift = random.uniform(-ranges.shift, ranges.shift, 2) * (width, height)
    mirror = -1.0 if ranges.flip and random.random() < 0.5 else 1.0
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    linear = np.array([[cos * stretch * mirror, -sin / stretch], [sin * stretch * mirror, cos / stretch]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = centre + shift - linear @ centre
    return np.column_stack([linear, offset])


_LUMA = np.array([0.299, 0.587, 0.114])


def _colour_matrix(ranges: Ranges, random: np.random.Generator) -> NDArray[np.float64]:
    """The 3x4 matrix of brightness, contrast and saturation together: one pass over the pixels."""
    brightness = 1 + random.uniform(-ranges.brightness, ranges.brightness)
    contrast = 1 + random.uniform(-ranges.contrast, ranges.contrast)
    saturation = 1 + random.uniform(-ranges.saturation, ranges.saturation)
    mixed = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    gray = 127.5 * (1 - contrast)
    return np.column_stack([mixed * brightness * contrast, np.full(3, gray)])


def _erase(image: Image, random: np.random.Generator) -> None:
    """Blanks a rectangle of 2 to 20 % of the area with mid-gray, in place."""
    height, width = image.shape[:2]
    area = random.uniform(0.02, 0.2)
    ratio = math.exp(random.uniform(-1, 1) * math.log(2))
    tall = min(height, max(1, round(height * math.sqrt(area * ratio))))
    wide = min(width, max(1, round(width * math.sqrt(area / ratio))))
    top = int(random.integers(0, height - tall + 1))
    left = int(random.integers(0, width - wide + 1))
    image[top : top + tall, left : left + wide] = 127


def mixup(batch: Image, targets: NDArray[np.float32], alpha: float, random: np.random.Generator) -> None:
    """Mixes every image and its target with another of the batch, in place (Zhang et al. 2018).

    Args:
        batch: uint8 ``(n, height, width, 3)``.
        targets: float32 ``(n, classes)``.
        alpha: Of the Beta distribution that the shares are drawn from.
        random: Where the choices come from.
    """
    shares = random.beta(alpha, alpha, len(batch))
    shares = np.maximum(shares, 1 - shares)  # the image itself keeps the larger share
    partners = random.permutation(len(batch))
    originals = batch.copy()
    for row, (share, partner) in enumerate(zip(shares.tolist(), partners.tolist(), strict=True)):
        cv2.addWeighted(originals[row], share, originals[partner], 1 - share, 0, dst=batch[row])
    weights = shares[:, None].astype(np.float32)
    targets[:] = weights * targets + (1 - weights) * targets[partners]
