"""WebP files. Of an animation, the first frame is used."""

from __future__ import annotations

import struct

from zoo.images.errors import ImageError
from zoo.images.formats.header import ImageHeader
from zoo.images.formats.tags import exif_orientation

_WEBP_HAS_EXIF = 0x08


def read_header(data: bytes) -> ImageHeader:
    riff_bytes, kind = struct.unpack_from("<I4x4s", data, 4)
    if 8 + riff_bytes > len(data):
        raise ImageError("truncated WebP")
    orientation = 1
    if kind == b"VP8X":
        flags, *sizes = struct.unpack_from("<B3xHBHB", data, 20)
        width_px, height_px = 1 + sizes[0] + (sizes[1] << 16), 1 + sizes[2] + (sizes[3] << 16)
        if flags & _WEBP_HAS_EXIF:
            orientation = _webp_orientation(data, 8 + riff_bytes)
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width_px, height_px = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width_px, height_px = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return ImageHeader(format="WebP", width_px=width_px, height_px=height_px, orientation=orientation)


def _webp_orientation(data: bytes, end: int) -> int:
    at = 12
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            return exif_orientation(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return 1
