"""BMP of all header versions."""

from __future__ import annotations

import struct

from zoo.images.formats.header import Alpha, ImageHeader


def read_header(data: bytes) -> ImageHeader:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == 12:
        width_px, height_px = struct.unpack_from("<HH", data, 18)
    else:
        width_px, height_px = struct.unpack_from("<ii", data, 18)  # a negative height: stored from the top down
    # Before its third version the header had no alpha mask, and the fourth byte, often 0, meant nothing.
    has_alpha = header_bytes >= 56 and struct.unpack_from("<I", data, 66)[0] != 0
    alpha: Alpha = "straight" if has_alpha else "none"
    return ImageHeader(format="BMP", width_px=width_px, height_px=abs(height_px), alpha=alpha)
