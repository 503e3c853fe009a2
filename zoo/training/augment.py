"""Augmentation on uint8 pixels: one affine warp and one colour matrix an image, on OpenCV and NumPy alone.

An image's augmentation depends on (seed, epoch, index) and nothing else: not on threads, batches or what came before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.recipe import Augmentation, Recipe

Image = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """How far an augmentation may go.

    Args:
        view: Smallest and largest part of the picture that is shown, as a share of its side: below 1 is a crop, above
            1 shows more than the picture, its edge repeated.
        aspect: Largest factor by which one side of the view is stretched against the other; ``None`` draws both sides
            of the view independently, as Keras's ImageDataGenerator does.
        rotation_degrees: Rotation to either side.
        shift: Shift to either side, as a share of the image's side.
        flip: Whether half of the images are mirrored left to right.
        brightness: Largest change of the brightness factor.
        contrast: Largest change of the contrast factor, about the image's mean.
        saturation: Largest change of the saturation factor.
    """

    view: tuple[float, float] = (1.0, 1.0)
    aspect: float | None = 1.0
    rotation_degrees: float = 0.0
    shift: float = 0.0
    flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0


RANGES: dict[Augmentation, Ranges] = {
    # The founding tutorial's ImageDataGenerator: rotation 30, zoom 0.2, shifts 0.1, horizontal flip, edges repeated.
    "article": Ranges(view=(0.8, 1.2), aspect=None, rotation_degrees=30, shift=0.1),
    # Chosen by cross-validation; docs/decisions/0003-simple-cnn-recipe.md.
    "strong": Ranges(
        view=(0.55, 1.1),
        aspect=1.25,
        rotation_degrees=12,
        shift=0.08,
        brightness=0.2,
        contrast=0.25,
        saturation=0.3,
    ),
}


def augments(recipe: Recipe) -> bool:
    """Whether training sees more than the plain images; a head alone sees the views that are computed for it."""
    return recipe.augmentation != "none" and (recipe.epochs > 0 or recipe.head_views > 1)


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
        warped = cv2.transform(warped, _colour_matrix(ranges, cv2.mean(warped)[:3], random))
    return np.asarray(warped, np.uint8)


def _affine(ranges: Ranges, width: int, height: int, random: np.random.Generator) -> NDArray[np.float64]:
    """The 2x3 matrix from output to input pixels, about the centre: first the view, then the shift, then the turn.

    The order is ImageDataGenerator's, so that the same ranges mean the same pictures.
    """
    angle = math.radians(random.uniform(-ranges.rotation_degrees, ranges.rotation_degrees))
    shift = random.uniform(-ranges.shift, ranges.shift, 2) * (width, height)
    wide, tall = _view(ranges, random)
    mirror = -1.0 if ranges.flip and random.random() < 0.5 else 1.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    linear = turn @ np.diag([wide * mirror, tall])
    return np.column_stack([linear, centre + turn @ shift - linear @ centre])


def _view(ranges: Ranges, random: np.random.Generator) -> tuple[float, float]:
    """Width and height of the part that is shown, as shares of the picture's."""
    low, high = ranges.view
    if ranges.aspect is None:
        return random.uniform(low, high), random.uniform(low, high)
    side = math.sqrt(random.uniform(low**2, high**2))
    stretch = math.exp(random.uniform(-0.5, 0.5) * math.log(ranges.aspect))
    return side * stretch, side / stretch


_LUMA = np.array([0.299, 0.587, 0.114])


def _colour_matrix(ranges: Ranges, mean: Sequence[float], random: np.random.Generator) -> NDArray[np.float64]:
    """The 3x4 matrix of brightness, contrast and saturation together: one pass over the pixels."""
    brightness = 1 + random.uniform(-ranges.brightness, ranges.brightness)
    contrast = 1 + random.uniform(-ranges.contrast, ranges.contrast)
    saturation = 1 + random.uniform(-ranges.saturation, ranges.saturation)
    mixed = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    offset = brightness * (1 - contrast) * float(np.dot(mean, _LUMA))
    return np.column_stack([mixed * brightness * contrast, np.full(3, offset)])


def mixup(batch: NDArray[Any], targets: NDArray[np.float32], alpha: float, random: np.random.Generator) -> None:
    """Mixes every image and its target with another of the batch, in place (Zhang et al. 2018).

    Args:
        batch: uint8 ``(n, height, width, 3)``, or float32 features ``(n, features)``.
        targets: float32 ``(n, classes)``.
        alpha: Of the Beta distribution that the shares are drawn from.
        random: Where the choices come from.
    """
    shares = random.beta(alpha, alpha, len(batch))
    shares = np.maximum(shares, 1 - shares)  # the image itself keeps the larger share
    partners = random.permutation(len(batch))
    originals = batch.copy()
    for row, (share, partner) in enumerate(zip(shares.tolist(), partners.tolist(), strict=True)):
        mixed = cv2.addWeighted(originals[row], share, originals[partner], 1 - share, 0)
        batch[row] = mixed.reshape(batch.shape[1:])
    weights = shares[:, None].astype(np.float32)
    targets[:] = weights * targets + (1 - weights) * targets[partners]
