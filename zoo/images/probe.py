"""Tells format and declared size of a picture, without decoding it."""

from __future__ import annotations

import struct
from collections.abc import Callable

from zoo.images.errors import ImageError
from zoo.images.formats import avif, bmp, gif, heif, jpeg, png, tiff, webp
from zoo.images.formats.header import ImageHeader
from zoo.images.signatures import identify

#: The most pixels a picture may declare: 268 Mpx, 0.8 GB as RGB.
MAX_PIXELS = 2**28

_READERS: dict[str, Callable[[bytes], ImageHeader]] = {
    "JPEG": jpeg.read_header,
    "PNG": png.read_header,
    "BMP": bmp.read_header,
    "GIF": gif.read_header,
    "WebP": webp.read_header,
    "TIFF": tiff.read_header,
    "AVIF": avif.read_header,
    "HEIC": heif.read_header,
}


def probe(data: bytes) -> ImageHeader:
    """Format, declared size and orientation of a picture, from its bytes; takes microseconds and no memory.

    Args:
        data: The whole file.

    Returns:
        What the file declares. Nothing is known yet of whether its pixels can be decoded.

    Raises:
        ImageError: Not a picture of a supported format, truncated, or larger than ``MAX_PIXELS``.
    """
    name = identify(data)
    try:
        header = _READERS[name](data)
    except (struct.error, IndexError):
        raise ImageError(f"truncated {name}") from None
    if header.width_px < 1 or header.height_px < 1:
        raise ImageError(f"damaged {name}: declares no size")
    if header.width_px * header.height_px > MAX_PIXELS:
        size = f"{header.width_px} x {header.height_px}"
        raise ImageError(f"declares {size} pixels, more than {MAX_PIXELS // 10**6} Mpx")
    return header
