"""Augmentation on uint8 pixels: one affine warp and one colour matrix per image, with OpenCV and NumPy only.

The augmentation of an image depends only on (seed, epoch, index), not on threads, batches or earlier images.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.augmentation import Augmentation
from zoo.errors import TrainingError, UsageError, ZooError
from zoo.named_function import NotFoundError, find_function

#: A number, or several.
Numbers = float | NDArray[np.float64]

#: Random numbers per image: rotation, shift along both sides, view (2), horizontal flip, brightness, contrast,
#: saturation, vertical flip. New ones are added at the end, so that a seed keeps its images.
_DRAWS = 10

#: Number of images that are processed together, so that their pixels stay in the processor's cache between operations.
_TOGETHER = 16


def random_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random generator of one image in one epoch: its own counter-based stream (Philox, Salmon et al. 2011)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], np.uint64), counter=[0, 0, 0, index]))


@dataclass(frozen=True)
class Changes:
    """The random changes of some images.

    Args:
        warps: float64 ``(n, 2, 3)``, the matrix from output to input pixels of each image.
        colours: float64 ``(n, 3)``, the factors of brightness, contrast and saturation. 1 changes nothing.
    """

    warps: NDArray[np.float64]
    colours: NDArray[np.float64]


def draw_changes(ranges: Augmentation, randoms: Iterable[np.random.Generator], size_px: tuple[int, int]) -> Changes:
    """Draws the changes of images within the ranges, for many images at once.

    Threads that process single images wait for each other to release the interpreter lock.

    Args:
        ranges: Limits of the changes. ``flip="auto"`` counts as ``horizontal``.
        randoms: Random generator of each image.
        size_px: Height and width of the images.
    """
    draws = np.array([random.random(_DRAWS) for random in randoms])
    most = np.array([ranges.brightness, ranges.contrast, ranges.saturation])
    height, width = size_px
    return Changes(_affine(ranges, width, height, draws), _between(1 - most, 1 + most, draws[:, 6:9]))


def augment(images: NDArray[np.uint8], ranges: Augmentation, randoms: Iterable[np.random.Generator]) -> None:
    """Augments images in place within the ranges. The function of the augmentation is applied by ``call_function``.

    Args:
        images: uint8 RGB ``(n, height, width, 3)``.
        ranges: Limits of the changes. ``flip="auto"`` counts as ``horizontal``.
        randoms: Random generator of each image.
    """
    if replace(ranges, function="").changes_nothing:
        return
    height, width = images.shape[1:3]
    changes = draw_changes(ranges, randoms, (height, width))
    colours = bool((changes.colours != 1).any())
    warped = np.empty_like(images[:_TOGETHER])
    for start in range(0, len(images), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        warped = warped[: len(images[part])]
        for image, target, warp in zip(images[part], warped, changes.warps[part], strict=True):
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
            matrices = _colour_matrices(changes.colours[part], means)
            for source, target, matrix in zip(warped, images[part], matrices, strict=True):
                cv2.transform(source, matrix, dst=target)
        else:
            images[part] = warped


def call_function(images: NDArray[np.uint8], augmentation: Augmentation, random: np.random.Generator) -> None:
    """Applies the function of the augmentation to a batch in place. Without a function, the batch is unchanged.

    Args:
        images: uint8 RGB ``(n, height, width, 3)``.
        augmentation: The augmentation with the name of the function.
        random: Random generator of the function.

    Raises:
        UsageError: The function cannot be found.
        TrainingError: The function failed, or did not return a uint8 batch of the same shape.
    """
    if not augmentation.function:
        return
    function = find_augmentation(augmentation.function)
    try:
        changed = function(images.copy(), random)
    except ZooError:
        raise
    except Exception as error:
        raise TrainingError(
            f"The augmentation '{augmentation.function}' failed: {type(error).__name__}: {error}",
            "It is called as function(images, random), where random is a numpy.random.Generator.",
        ) from error
    images[:] = _checked(changed, images.shape, augmentation.function)


def find_augmentation(name: str) -> Any:
    """Finds the function of that name.

    Raises:
        UsageError: The function cannot be found. The message names the failed import.
    """
    try:
        return find_function(name)
    except NotFoundError as error:
        raise UsageError(
            f"The augmentation '{name}' cannot be used: {error}.",
            "Its module must be importable: installed, in the current folder, or on PYTHONPATH.",
        ) from error


def _checked(changed: Any, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    if not isinstance(changed, np.ndarray):
        received = f"{type(changed).__name__}"
    elif changed.dtype != np.uint8:
        span = (
            f", values {changed.min():g} to {changed.max():g}" if changed.size and changed.dtype.kind in "iuf" else ""
        )
        received = f"{changed.dtype}{span}"
    elif changed.shape != shape:
        received = f"shape {changed.shape}"
    else:
        return changed
    raise TrainingError(
        f"The augmentation '{name}' must return a batch of the same form: a NumPy array, uint8 0..255, {shape}. "
        f"Received: {received}.",
        "Return np.clip(np.rint(images), 0, 255).astype(np.uint8), every image with its original size.",
    )


def _between(low: Numbers, high: Numbers, draw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales random numbers from the range 0 to 1 to the range ``low`` to ``high``."""
    return low + (high - low) * draw


def _affine(ranges: Augmentation, width: int, height: int, draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2x3 matrices from output to input pixels, about the centre: first zoom, then shift, then rotation.

    The order is that of ImageDataGenerator, so that the same ranges give the same images.
    """
    angle, shift_x, shift_y, first, second, mirrored = draws.T[:6]
    angle = np.radians(_between(-ranges.rotation_degrees, ranges.rotation_degrees, angle))
    shift_x, shift_y = (_between(-ranges.shift, ranges.shift, draw) for draw in (shift_x, shift_y))
    wide, tall = _view(ranges, first, second)
    across = _flips(mirrored, ranges.flip in ("auto", "horizontal", "both"))
    down = _flips(draws[:, 9], ranges.flip in ("vertical", "both"))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]).transpose(2, 0, 1)
    linear = turn * np.stack([wide * across, tall * down], 1)[:, None]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = np.stack([shift_x * width, shift_y * height], 1)
    moved = centre + np.einsum("nij,nj->ni", turn, shift) - linear @ centre
    return np.concatenate([linear, moved[..., None]], 2)


def _flips(draw: NDArray[np.float64], wanted: bool) -> NDArray[np.float64]:
    """-1 for the images that are mirrored along an axis (half of them), 1 for the others."""
    return np.where(wanted & (draw < 0.5), -1.0, 1.0)


def _view(
    ranges: Augmentation, first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Width and height of the visible part, as fractions of the image."""
    low, high = ranges.view
    if ranges.aspect == "free":
        return _between(low, high, first), _between(low, high, second)
    side = np.sqrt(_between(low**2, high**2, first))
    stretch = np.exp(_between(-0.5, 0.5, second) * math.log(ranges.aspect))
    return side * stretch, side / stretch


#: Weights of red, green and blue in the brightness of a pixel (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114])


def _colour_matrices(colours: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The combined 3x4 matrices of brightness, contrast and saturation, for one pass over the pixels."""
    brightness, contrast, saturation = colours.T[..., None]
    mixed = saturation[..., None] * np.eye(3) + (1 - saturation)[..., None] * np.tile(LUMA, (3, 1))
    offset = brightness * (1 - contrast) * (means @ LUMA)[:, None]
    matrix = mixed * (brightness * contrast)[..., None]
    return np.concatenate([matrix, np.repeat(offset, 3, 1)[..., None]], 2)


def mixup(batch: NDArray[Any], targets: NDArray[np.float32], alpha: float, random: np.random.Generator) -> None:
    """Mixes every image and its target with another one of the batch, in place (Zhang et al. 2018).

    Args:
        batch: uint8 ``(n, height, width, 3)``, or float32 features ``(n, features)``.
        targets: float32 ``(n, classes)``.
        alpha: Parameter of the Beta distribution of the mixing weights.
        random: Random generator.
    """
    shares = random.beta(alpha, alpha, len(batch))
    shares = np.maximum(shares, 1 - shares)  # the image itself has the larger share
    partners = random.permutation(len(batch))
    originals = batch.copy()
    for row, (share, partner) in enumerate(zip(shares.tolist(), partners.tolist(), strict=True)):
        mixed = cv2.addWeighted(originals[row], share, originals[partner], 1 - share, 0)
        batch[row] = mixed.reshape(batch.shape[1:])
    weights = shares[:, None].astype(np.float32)
    targets[:] = weights * targets + (1 - weights) * targets[partners]
