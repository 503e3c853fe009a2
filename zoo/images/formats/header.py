"""What decoding has to know of a file beforehand."""

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
        orientation: EXIF orientation, 1 to 8, that the decoder's pixels still lack.
        alpha: What a fourth channel from the decoder means.
        bits: Bits of one sample, as stored.
        transparent_gray: The gray value that stands for transparency, in the range of the decoded samples.
        has_end: Whether the end mark is there. Only a JPEG may lack it.
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
        """White of a sample of more than 8 bits."""
        return (1 << self.bits) - 1
