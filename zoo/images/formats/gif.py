"""GIF; of an animated one, the first frame."""

from __future__ import annotations

import struct

from zoo.images.formats.header import ImageHeader


def read_header(data: bytes) -> ImageHeader:
    width_px, height_px = struct.unpack_from("<HH", data, 6)
    return ImageHeader(format="GIF", width_px=width_px, height_px=height_px)
