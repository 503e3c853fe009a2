"""What must be known about a file before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Alpha = Literal["none", "straight", "premultiplied"]


@dataclass(frozen=True, kw_only=True)
class ImageHeader:
    """What a file declares about its (first) picture.

    Args:
        format: ``JPEG``, ``PNG``, ``BMP``, ``GIF``, ``WebP``, ``TIFF``, ``AVIF`` or ``HEIC``.
        width_px: Declared width, before orientation is applied.
        height_px: Declared height, before orientation is applied.
        orientation: EXIF orientation, 1 to 8, that must still be applied to the pixels from the decoder.
        alpha: Meaning of the channel that the decoder returns in addition to gray or RGB.
        bits: Bits of one sample, as stored.
        transparent_gray: The gray value that means transparent, in the range of the decoded samples.
        has_end: Whether the file has its end marker. Only a JPEG may lack it.
    """

    format: str
    width_px: int
    height_px: int
    orientation: int = 1
    alpha: Alpha = "straight"
    bits: int = 8
    transparent_gray: int | None = None
    has_end: bool = True

    @property
    def max_value(self) -> int:
        """The largest value of a sample, which is white."""
        return (1 << self.bits) - 1
