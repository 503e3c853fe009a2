"""Brings a picture to the size of a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from zoo.image_spec import ImageSpec

if TYPE_CHECKING:
    from cv2.typing import MatLike

#: Gray level of the bars of ``letterbox``.
PAD_VALUE = 114

# `crop` scales to 256/224 of the target before it takes the centre, as ImageNet models are evaluated.
_CROP_MARGIN = (256, 224)

# A picture longer than this many targets once scaled is trimmed first: 1 x 5000 px would become 256 x 1280000.
_LONGEST_BEFORE_CROP = 4


def resize(image: npt.NDArray[np.uint8], spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Resizes a picture by the rule and the interpolation of ``spec``.

    With target ``H x W``, and all sizes rounded to the nearest pixel, halves up:

    - ``squash`` stretches to ``H x W``.
    - ``crop`` scales evenly until the picture covers ``256/224`` of the target in both directions and touches it in
      one (for a square target: shorter side to ``256/224`` of it), then takes the centre; an odd pixel is left at the
      end.
    - ``letterbox`` scales evenly until the picture fits, centres it and pads with gray, 114; an odd row or column of
      padding goes to the end.

    ``area`` averages along each axis that shrinks; along an axis that grows it is bilinear. ``bilinear`` and
    ``bicubic`` are ``cv2.INTER_LINEAR`` and ``cv2.INTER_CUBIC``. Between processors OpenCV may round a value
    differently, by one level.

    May be called from several threads at once.

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
        resized = _scale(image, spec.height_px, spec.width_px, spec.interpolation)
    return np.ascontiguousarray(resized, np.uint8)


def _crop(image: MatLike, spec: ImageSpec) -> MatLike:
    cover_height, cover_width = _scaled(spec.height_px, *_CROP_MARGIN), _scaled(spec.width_px, *_CROP_MARGIN)
    image = _trim(image, cover_height, cover_width)
    height, width = image.shape[:2]
    if cover_height * width >= cover_width * height:  # height is the side to bring to its measure
        cover_width = _scaled(width, cover_height, height)
    else:
        cover_height = _scaled(height, cover_width, width)
    covering = _scale(image, cover_height, cover_width, spec.interpolation)
    return _centre(covering, spec.height_px, spec.width_px)


def _trim(image: MatLike, cover_height: int, cover_width: int) -> MatLike:
    """Cuts the ends off a very long picture, which ``crop`` would discard anyway, before they are enlarged."""
    height, width = image.shape[:2]
    longest_width = max(height * cover_width * _LONGEST_BEFORE_CROP // cover_height, 1)
    longest_height = max(width * cover_height * _LONGEST_BEFORE_CROP // cover_width, 1)
    # By an even number of pixels, or the centre would move.
    keep_height = height if height <= longest_height else longest_height + (height - longest_height) % 2
    keep_width = width if width <= longest_width else longest_width + (width - longest_width) % 2
    return _centre(image, keep_height, keep_width)


def _letterbox(image: MatLike, spec: ImageSpec) -> MatLike:
    height, width = image.shape[:2]
    if spec.height_px * width >= spec.width_px * height:  # width is the side that fits exactly
        inner_height, inner_width = _scaled(height, spec.width_px, width), spec.width_px
    else:
        inner_height, inner_width = spec.height_px, _scaled(width, spec.height_px, height)
    boxed = np.full(spec.input_shape, PAD_VALUE, np.uint8)
    _centre(boxed, inner_height, inner_width)[:] = _scale(image, inner_height, inner_width, spec.interpolation)
    return boxed


def _scaled(length: int, numerator: int, denominator: int) -> int:
    """``length * numerator / denominator`` to the nearest pixel, at least 1; in integers, so the same everywhere."""
    return max((2 * length * numerator + denominator) // (2 * denominator), 1)


def _centre(image: MatLike, height: int, width: int) -> MatLike:
    """A view of the middle of ``image``."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _scale(image: MatLike, height: int, width: int, interpolation: str) -> MatLike:
    if interpolation == "bicubic":
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    if interpolation == "area":
        # Given one axis that grows, INTER_AREA would stop averaging along the other as well: shrink first, then grow.
        smaller_width, smaller_height = min(width, image.shape[1]), min(height, image.shape[0])
        image = cv2.resize(image, (smaller_width, smaller_height), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
