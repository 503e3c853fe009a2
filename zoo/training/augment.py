"""Augmentation on uint8 pixels: one affine warp and one colour matrix an image, on OpenCV and NumPy alone.

An image's augmentation depends on (seed, epoch, index) and nothing else: not on threads, batches or what came before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.recipe import Augmentation, Recipe


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


#: Random numbers an image takes: turn, shift along both sides, view (2), mirror, brightness, contrast, saturation.
_DRAWS = 9

#: Images whose pixels stay in the processor's cache from one step to the next.
_TOGETHER = 16


def augments(recipe: Recipe) -> bool:
    """Whether training sees more than the plain images; a head alone sees the views that are computed for it."""
    return recipe.augmentation != "none" and (recipe.epochs > 0 or recipe.head_views > 1)


def random_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one image in one epoch: a counter-based stream of its own (Philox, Salmon et al. 2011)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], np.uint64), counter=[0, 0, 0, index]))


def augment(images: NDArray[np.uint8], augmentation: Augmentation, randoms: Iterable[np.random.Generator]) -> None:
    """Augments images in place.

    All but the pixels is computed for many images at once: threads that do one after another wait for each other to let
    go of the interpreter.

    Args:
        images: uint8 RGB ``(n, height, width, 3)``.
        augmentation: ``none``, ``article`` or ``strong``.
        randoms: Where the choices for each image come from.
    """
    if augmentation == "none":
        return
    ranges = RANGES[augmentation]
    draws = np.array([random.random(_DRAWS) for random in randoms])
    height, width = images.shape[1:3]
    warps = _affine(ranges, width, height, draws)
    colours = ranges.brightness or ranges.contrast or ranges.saturation
    warped = np.empty_like(images[:_TOGETHER])
    for start in range(0, len(images), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        warped = warped[: len(images[part])]
        for image, target, warp in zip(images[part], warped, warps[part], strict=True):
            cv2.warpAffine(
                image,
                warp,
                (width, height),
                dst=target,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        if colours:
            means = np.array([cv2.mean(image)[:3] for image in warped])
            for source, target, colour in zip(
                warped, images[part], _colour_matrices(ranges, means, draws[part]), strict=True
            ):
                cv2.transform(source, colour, dst=target)
        else:
            images[part] = warped


def _between(low: float, high: float, draw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws from 0 to 1 as draws from ``low`` to ``high``."""
    return low + (high - low) * draw


def _affine(ranges: Ranges, width: int, height: int, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2x3 matrices from output to input pixels, about the centre: first the view, then the shift, then the turn.

    The order is ImageDataGenerator's, so that the same ranges mean the same pictures.
    """
    angle, shift_x, shift_y, first, second, mirrored = draws.T[:6]
    angle = np.radians(_between(-ranges.rotation_degrees, ranges.rotation_degrees, angle))
    shift_x, shift_y = (_between(-ranges.shift, ranges.shift, draw) for draw in (shift_x, shift_y))
    wide, tall = _view(ranges, first, second)
    mirror = np.where(ranges.flip & (mirrored < 0.5), -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
    linear = turn * np.stack([wide * mirror, tall], 1)[:, None]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = np.stack([shift_x * width, shift_y * height], 1)
    moved = centre + np.einsum("nij,nj->ni", turn, shift) - linear @ centre
    return np.concatenate([linear, moved[..., None]], 2)


def _view(
    ranges: Ranges, first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Width and height of the part that is shown, as shares of the picture's."""
    low, high = ranges.view
    if ranges.aspect is None:
        return _between(low, high, first), _between(low, high, second)
    side = np.sqrt(_between(low**2, high**2, first))
    stretch = np.exp(_between(-0.5, 0.5, second) * math.log(ranges.aspect))
    return side * stretch, side / stretch


_LUMA = np.array([0.299, 0.587, 0.114])


def _colour_matrices(ranges: Ranges, means: NDArray[np.float64], draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 3x4 matrices of brightness, contrast and saturation together: one pass over the pixels."""
    brightness, contrast, saturation = (
        _between(1 - most, 1 + most, draw)[:, None]
        for most, draw in zip((ranges.brightness, ranges.contrast, ranges.saturation), draws.T[6:], strict=True)
    )
    mixed = saturation[..., None] * np.eye(3) + (1 - saturation)[..., None] * np.tile(_LUMA, (3, 1))
    offset = brightness * (1 - contrast) * (means @ _LUMA)[:, None]
    matrix = mixed * (brightness * contrast)[..., None]
    return np.concatenate([matrix, np.repeat(offset, 3, 1)[..., None]], 2)


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
