"""TIFF, first page, of the kinds that OpenCV reads correctly."""

from __future__ import annotations

from typing import NamedTuple

from zoo.images.errors import ImageError
from zoo.images.formats.header import Alpha, ImageHeader
from zoo.images.formats.tags import read_tags


class _Tag(NamedTuple):
    number: int
    default: int


_WIDTH = _Tag(256, 0)
_HEIGHT = _Tag(257, 0)
_BITS_PER_SAMPLE = _Tag(258, 1)
_COLOR_SPACE = _Tag(262, 1)
_SAMPLES_PER_PIXEL = _Tag(277, 1)
_PLANAR = _Tag(284, 1)
_EXTRA_SAMPLES = _Tag(338, 0)
_SAMPLE_FORMAT = _Tag(339, 1)
_TAGS = (_WIDTH, _HEIGHT, _BITS_PER_SAMPLE, _COLOR_SPACE, _SAMPLES_PER_PIXEL, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT)

_UNSIGNED, _INTERLEAVED = 1, 1
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_EXTRA_IS_PREMULTIPLIED_ALPHA, _EXTRA_IS_STRAIGHT_ALPHA = 1, 2


def read_header(data: bytes) -> ImageHeader:
    """No orientation is left to apply: of this format alone OpenCV always applies it."""
    tags = read_tags(data, {tag.number for tag in _TAGS})
    value = {tag: tags.get(tag.number, (tag.default,))[0] for tag in _TAGS}
    if len(set(tags.get(_BITS_PER_SAMPLE.number, ()))) > 1:
        raise ImageError("TIFF with channels of different depth is not supported")
    _refuse_what_opencv_misreads(value)
    return ImageHeader(
        format="TIFF",
        width_px=value[_WIDTH],
        height_px=value[_HEIGHT],
        alpha=_alpha(value[_EXTRA_SAMPLES], value[_BITS_PER_SAMPLE]),
    )


def _alpha(extra_samples: int, bits: int) -> Alpha:
    """A fourth channel is alpha only where the file says so. Up to 8 bits libtiff has premultiplied it by then."""
    if extra_samples not in (_EXTRA_IS_PREMULTIPLIED_ALPHA, _EXTRA_IS_STRAIGHT_ALPHA):
        return "none"
    return "straight" if extra_samples == _EXTRA_IS_STRAIGHT_ALPHA and bits == 16 else "premultiplied"


def _refuse_what_opencv_misreads(value: dict[_Tag, int]) -> None:
    """Raises for the kinds of TIFF of which OpenCV makes other pixels, or none, without a word."""
    bits, channels, color_space = value[_BITS_PER_SAMPLE], value[_SAMPLES_PER_PIXEL], value[_COLOR_SPACE]
    if value[_SAMPLE_FORMAT] != _UNSIGNED:
        raise ImageError("TIFF with signed or floating point samples is not supported")
    if bits not in (1, 2, 4, 8, 16):
        raise ImageError(f"TIFF with {bits} bits per sample is not supported")
    if channels not in (1, 3, 4):
        raise ImageError(f"TIFF with {channels} channels is not supported")
    if color_space not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR):
        raise ImageError("TIFF in this colour space is not supported")
    if bits == 16 and (color_space not in (_BLACK_IS_ZERO, _RGB) or value[_PLANAR] != _INTERLEAVED):
        raise ImageError("16-bit TIFF is supported as interleaved gray or RGB only")
