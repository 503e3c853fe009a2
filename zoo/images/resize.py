"""Resizes an image to the size of an ``ImageSpec``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from zoo.image_spec import ImageSpec
from zoo.images import resample

if TYPE_CHECKING:
    from cv2.typing import MatLike

#: Gray level of the bars of ``letterbox``.
PAD_VALUE = 114

# `crop` scales to 256/224 of the target before it takes the centre, as in the evaluation of ImageNet models.
_CROP_MARGIN = (256, 224)

# A picture that would be longer than this many targets after scaling is trimmed first. Otherwise, 1 x 5000 px would
# become 256 x 1280000 px.
_LONGEST_BEFORE_CROP = 4


def resize(image: npt.NDArray[np.uint8], spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Resizes an image with the resize rule and the interpolation of ``spec``.

    The target size is ``H x W``. All sizes are rounded to the nearest pixel, halves up:

    - ``squash`` stretches to ``H x W``.
    - ``crop`` scales with the same factor in both directions until the image covers ``256/224`` of the target (for a
      square target, the shorter side becomes ``256/224`` of its side), then takes the centre. An odd pixel is cut at
      the end.
    - ``letterbox`` scales with the same factor in both directions until the image fits, centres it and pads with gray,
      114. An odd row or column of padding is added at the end.

    ``area`` averages along each axis that shrinks, and is bilinear along an axis that grows. ``bilinear`` and
    ``bicubic`` interpolate between the two and the four nearest pixels of each axis, also where the image shrinks. All
    of them compute with integers and return the same pixels on every processor (``zoo.images.resample``). Specs of
    version 1 use ``cv2.INTER_AREA``, ``cv2.INTER_LINEAR`` and ``cv2.INTER_CUBIC`` instead, whose pixels differ between
    x86 and ARM by up to two levels.

    Thread-safe.

    Args:
        image: ``(height, width, 3)`` uint8 of any size from 1 x 1.
        spec: Target size, rule and interpolation.

    Returns:
        A new, contiguous ``(spec.height_px, spec.width_px, 3)`` uint8.

    Raises:
        ValueError: ``image`` is not ``(height, width, 3)`` uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ValueError(f"Expected (height, width, 3) uint8. Received: {image.shape} {image.dtype}.")
    if spec.resize == "crop":
        resized = _crop(image, spec)
    elif spec.resize == "letterbox":
        resized = _letterbox(image, spec)
    else:
        resized = _scale(image, spec.height_px, spec.width_px, spec)
    return np.ascontiguousarray(resized, np.uint8)


class Box(NamedTuple):
    """A part of an image, in pixels. Its borders may be fractional."""

    top: float
    left: float
    height: float
    width: float


def seen(height: int, width: int, spec: ImageSpec) -> tuple[Box, Box]:
    """The part of an image that ``resize`` keeps, and the part of the result that shows it.

    Args:
        height, width: Size of the image.
        spec: Target size and rule.
    """
    whole, target = Box(0, 0, height, width), Box(0, 0, spec.height_px, spec.width_px)
    if spec.resize == "letterbox":
        inner_height, inner_width = _fitting(height, width, spec)
        top, left = (spec.height_px - inner_height) // 2, (spec.width_px - inner_width) // 2
        return whole, Box(top, left, inner_height, inner_width)
    if spec.resize == "crop":
        keep_height, keep_width, cover_height, cover_width = _covering(height, width, spec)
        rows, columns = keep_height / cover_height, keep_width / cover_width
        above = (height - keep_height) // 2 + (cover_height - spec.height_px) // 2 * rows
        before = (width - keep_width) // 2 + (cover_width - spec.width_px) // 2 * columns
        return Box(above, before, spec.height_px * rows, spec.width_px * columns), target
    return whole, target


def _crop(image: MatLike, spec: ImageSpec) -> MatLike:
    keep_height, keep_width, cover_height, cover_width = _covering(image.shape[0], image.shape[1], spec)
    image = _centre(image, keep_height, keep_width)
    covering = _scale(image, cover_height, cover_width, spec)
    return _centre(covering, spec.height_px, spec.width_px)


def _covering(height: int, width: int, spec: ImageSpec) -> tuple[int, int, int, int]:
    """Height and width of the part that ``crop`` keeps, and the size to which it is scaled."""
    cover_height, cover_width = _scaled(spec.height_px, *_CROP_MARGIN), _scaled(spec.width_px, *_CROP_MARGIN)
    height, width = _trimmed(height, width, cover_height, cover_width)
    if cover_height * width >= cover_width * height:  # the height determines the scale
        return height, width, cover_height, _scaled(width, cover_height, height)
    return height, width, _scaled(height, cover_width, width), cover_width


def _trimmed(height: int, width: int, cover_height: int, cover_width: int) -> tuple[int, int]:
    """Size without the ends of a very elongated image, which ``crop`` would discard after enlarging them."""
    longest_width = max(height * cover_width * _LONGEST_BEFORE_CROP // cover_height, 1)
    longest_height = max(width * cover_height * _LONGEST_BEFORE_CROP // cover_width, 1)
    # by an even number of pixels, so that the centre does not move
    keep_height = height if height <= longest_height else longest_height + (height - longest_height) % 2
    keep_width = width if width <= longest_width else longest_width + (width - longest_width) % 2
    return keep_height, keep_width


def _letterbox(image: MatLike, spec: ImageSpec) -> MatLike:
    inner_height, inner_width = _fitting(image.shape[0], image.shape[1], spec)
    boxed = np.full(spec.input_shape, PAD_VALUE, np.uint8)
    _centre(boxed, inner_height, inner_width)[:] = _scale(image, inner_height, inner_width, spec)
    return boxed


def _fitting(height: int, width: int, spec: ImageSpec) -> tuple[int, int]:
    """The size to which ``letterbox`` scales an image."""
    if spec.height_px * width >= spec.width_px * height:  # the width fits exactly
        return _scaled(height, spec.width_px, width), spec.width_px
    return spec.height_px, _scaled(width, spec.height_px, height)


def _scaled(length: int, numerator: int, denominator: int) -> int:
    """``length * numerator / denominator`` to the nearest pixel, at least 1.

    With integer arithmetic, the result is the same on every machine.
    """
    return max((2 * length * numerator + denominator) // (2 * denominator), 1)


def _centre(image: MatLike, height: int, width: int) -> MatLike:
    """A view of the middle of ``image``."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _scale(image: MatLike, height: int, width: int, spec: ImageSpec) -> MatLike:
    if spec.version == 1:
        return _scale_version_1(image, height, width, spec.interpolation)
    if spec.interpolation == "bicubic":
        return resample.bicubic(image, height, width)
    if spec.interpolation == "area":
        image = resample.mean(image, min(height, image.shape[0]), min(width, image.shape[1]))
    return resample.bilinear(image, height, width)


def _scale_version_1(image: MatLike, height: int, width: int, interpolation: str) -> MatLike:
    if interpolation == "bicubic":
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    if interpolation == "area":
        # If one axis grows, INTER_AREA does not average along the other. Therefore the image is reduced first and
        # enlarged afterwards.
        smaller_width, smaller_height = min(width, image.shape[1]), min(height, image.shape[0])
        image = cv2.resize(image, (smaller_width, smaller_height), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
