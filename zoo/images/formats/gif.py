"""GIF files. Of an animation, the first frame is used.

OpenCV decodes all frames, and thereby confuses transparency and background. Therefore it receives only the first frame.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from zoo.images.errors import ImageError
from zoo.images.formats.header import ImageHeader

_EXTENSION, _IMAGE, _TRAILER, _CONTROL = 0x21, 0x2C, 0x3B, 0xF9
_HAS_PALETTE, _PALETTE_BITS, _IS_TRANSPARENT = 0x80, 0x07, 0x01


class Frame(NamedTuple):
    """The first frame.

    Args:
        content: A GIF file that contains only this frame and has its size.
        left_px, top_px: Position of the frame on the canvas.
        width_px, height_px: Size of the frame.
    """

    content: bytes
    left_px: int
    top_px: int
    width_px: int
    height_px: int


def read_header(data: bytes) -> ImageHeader:
    width_px, height_px = struct.unpack_from("<HH", data, 6)
    frame = first_frame(data)
    return ImageHeader(
        format="GIF",
        # A frame may be larger than the canvas, which then grows, as in browsers.
        width_px=max(width_px, frame.left_px + frame.width_px),
        height_px=max(height_px, frame.top_px + frame.height_px),
    )


def first_frame(data: bytes) -> Frame:
    """Finds the first frame.

    Raises:
        ImageError: The frame is missing, or something else is in its place.
        IndexError, struct.error: The file ends before the frame does.
    """
    flags = data[10]
    at = 13 + _palette_bytes(flags)
    palette = data[13:at]
    clear: int | None = None
    while data[at] != _IMAGE:
        if data[at] != _EXTENSION:
            raise ImageError("GIF without a picture" if data[at] == _TRAILER else "damaged GIF")
        if data[at + 1] == _CONTROL and data[at + 2] >= 4:
            clear = data[at + 6] if data[at + 3] & _IS_TRANSPARENT else None
        at = _after_blocks(data, at + 2)
    left, top, width, height, frame_flags = struct.unpack_from("<HHHHB", data, at + 1)
    pixels = at + 10 + _palette_bytes(frame_flags)
    end = _after_blocks(data, pixels + 1)
    screen = struct.pack("<HHBBB", width, height, flags, 0, 0)
    control = b"" if clear is None else bytes([_EXTENSION, _CONTROL, 4, _IS_TRANSPARENT, 0, 0, clear, 0])
    image = struct.pack("<BHHHHB", _IMAGE, 0, 0, width, height, frame_flags) + data[at + 10 : end]
    content = b"GIF89a" + screen + palette + control + image + bytes([_TRAILER])
    return Frame(content, left, top, width, height)


def _palette_bytes(flags: int) -> int:
    return 3 << (1 + (flags & _PALETTE_BITS)) if flags & _HAS_PALETTE else 0


def _after_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1
