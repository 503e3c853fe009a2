"""Reads format and declared size of an image without decoding it."""

from __future__ import annotations

import struct
from collections.abc import Callable

from zoo.images.errors import ImageError, ImageTooLargeError
from zoo.images.formats import avif, bmp, gif, heif, jpeg, png, tiff, webp
from zoo.images.formats.header import ImageHeader
from zoo.images.signatures import identify

#: Maximum number of declared pixels: 268 Mpx, 0.8 GB as RGB.
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


def probe(data: bytes, most_px: int = MAX_PIXELS) -> ImageHeader:
    """Reads format, declared size and orientation of an image from its bytes, in microseconds and without much memory.

    Args:
        data: The whole file.
        most_px: The largest number of pixels that the image may declare.

    Returns:
        The declared values. The pixels may still be impossible to decode.

    Raises:
        ImageError: The file is not an image of a supported format, or it is truncated.
        ImageTooLargeError: The image declares more than ``most_px`` pixels.
    """
    name = identify(data)
    try:
        header = _READERS[name](data)
    except (struct.error, IndexError):
        raise ImageError(f"truncated {name}") from None
    if header.width_px < 1 or header.height_px < 1:
        raise ImageError(f"damaged {name}: declares no size")
    if header.width_px * header.height_px > most_px:
        size = f"{header.width_px} x {header.height_px}"
        raise ImageTooLargeError(f"declares {size} pixels, more than {most_px // 10**6} Mpx")
    return header
