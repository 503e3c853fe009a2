"""PNG files with the same bytes on every machine: the pixels are stored without compression.

Splits and the digest of a dataset depend on the bytes of the files. The output of a compressor differs between releases
of zlib and OpenCV; stored data does not. Storing is also ten times as fast and needs about twice the space. See
``docs/decisions/0017-arrays-become-files.md``.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GRAY, _RGB = 0, 2

#: The first two bytes of a zlib stream with the usual window and the fastest level, and the maximum length of a stored
#: block.
_ZLIB_HEADER = b"\x78\x01"
_LONGEST_BLOCK = 65535


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """Encodes a PNG file with 8 bits per channel.

    Args:
        pixels: ``(height, width, 3)`` RGB or ``(height, width)`` gray.
    """
    height, width = pixels.shape[:2]
    color_type = _GRAY if pixels.ndim == 2 else _RGB
    # Each row starts with its filter type; 0 is none.
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    return b"".join(
        (_SIGNATURE, *_chunk(b"IHDR", header), *_chunk(b"IDAT", _stored(rows.tobytes())), *_chunk(b"IEND", b""))
    )


def _stored(data: bytes) -> bytes:
    """A zlib stream of stored blocks."""
    parts: list[bytes | memoryview] = [_ZLIB_HEADER]
    view = memoryview(data)
    for start in range(0, len(data), _LONGEST_BLOCK):
        block = view[start : start + _LONGEST_BLOCK]
        is_last = start + _LONGEST_BLOCK >= len(data)
        parts += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack(">I", zlib.adler32(data)))
    return b"".join(parts)


def _chunk(kind: bytes, body: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    return struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))
