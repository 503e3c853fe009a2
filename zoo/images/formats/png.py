"""PNG files. Of an animation, the default image is used, which programs without animations show too."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from zoo.images.errors import ImageError
from zoo.images.formats.header import ImageHeader
from zoo.images.formats.tags import exif_orientation

_COLOR_TYPE_GRAY = 0
_WIDENED_TO_8_BITS = {1: 255, 2: 85, 4: 17}
_CHUNKS_THAT_MAKE_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


def read_header(data: bytes) -> ImageHeader:
    width_px, height_px, bits, color_type = struct.unpack_from(">IIBB", data, 16)
    orientation, transparent_gray = 1, None
    for kind, start, end in _chunks(data):
        if kind == b"eXIf":
            orientation = exif_orientation(data[start + 8 : end - 4])
        elif kind == b"tRNS" and color_type == _COLOR_TYPE_GRAY:
            # OpenCV applies the transparency of every kind of PNG except this one.
            (value,) = struct.unpack_from(">H", data, start + 8)
            transparent_gray = value * _WIDENED_TO_8_BITS.get(bits, 1)
    return ImageHeader(
        format="PNG",
        width_px=width_px,
        height_px=height_px,
        orientation=orientation,
        bits=bits,
        transparent_gray=transparent_gray,
    )


def only_pixels(data: bytes) -> bytes:
    """The file without the chunks that do not make pixels.

    libpng would print warnings about them to standard error, mostly about colour profiles.
    """
    chunks = list(_chunks(data))
    if all(kind in _CHUNKS_THAT_MAKE_PIXELS for kind, _, _ in chunks):
        return data
    return data[:8] + b"".join(data[start:end] for kind, start, end in chunks if kind in _CHUNKS_THAT_MAKE_PIXELS)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yields (type, start, end) of each chunk, up to IEND. They include the length and the checksum."""
    kind, end = b"", 8
    while kind != b"IEND":
        start = end
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            raise ImageError("truncated PNG")
        yield kind, start, end
