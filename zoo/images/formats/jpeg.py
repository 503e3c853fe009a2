"""JPEG, and MPO, which is several JPEGs one after the other; the first is the picture."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from zoo.images.errors import ImageError
from zoo.images.formats.header import ImageHeader
from zoo.images.formats.tags import exif_orientation

_END_OF_IMAGE, _START_OF_SCAN, _APP1 = 0xD9, 0xDA, 0xE1
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_WITHOUT_BODY = {0x00, 0x01, *range(0xD0, 0xDA)}
# Decoders skip fill bytes and rubbish between segments, too.
_MARKER = re.compile(rb"\xff([^\xff])", re.DOTALL)


def read_header(data: bytes) -> ImageHeader:
    width_px = height_px = 0
    exif = None
    for marker, start, end in _segments(data):
        if marker in _FRAMES:
            height_px, width_px = struct.unpack_from(">HH", data, start + 1)
        elif marker == _APP1 and exif is None and data.startswith(b"Exif\0\0", start):
            exif = data[start:end]
        elif marker == _START_OF_SCAN:
            _refuse_without_end(data, end)
    return ImageHeader(
        format="JPEG",
        width_px=width_px,
        height_px=height_px,
        orientation=exif_orientation(exif) if exif else 1,
        alpha="none",
    )


def _refuse_without_end(data: bytes, scan: int) -> None:
    """Raises if no end marker follows. Not every OpenCV refuses such a file; some paint what is missing gray.

    Within a scan FF is followed by 00 or a restart marker only, so the first end marker is that of the picture.
    """
    end_of_image = bytes((0xFF, _END_OF_IMAGE))
    if not data.endswith(end_of_image) and data.find(end_of_image, scan) < 0:
        raise ImageError("truncated JPEG")


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start and end of its body) of each segment, up to and including the header of the first scan."""
    at, marker = 2, 0
    while marker != _START_OF_SCAN:
        found = _MARKER.search(data, at)
        if found is None:
            raise ImageError("truncated JPEG")
        marker, at = found[1][0], found.end()
        if marker not in _WITHOUT_BODY:
            (length,) = struct.unpack_from(">H", data, at)
            yield marker, at + 2, at + length
            at += max(length, 2)
