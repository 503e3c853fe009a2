"""JPEG files, and MPO files, which consist of several JPEGs. Of these, the first is used."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from zoo.images.errors import ImageError
from zoo.images.formats import tiff
from zoo.images.formats.header import ImageHeader
from zoo.images.formats.tags import exif_orientation
from zoo.images.formats.tiff_file import tiff_file

_START_OF_SCAN, _APP1 = 0xDA, 0xE1
_END_MARK = b"\xff\xd9"
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE_FRAMES, _LOSSLESS_FRAMES = (0xC2, 0xCA), (0xC3, 0xCB)
_HIERARCHICAL_FRAMES = (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
#: Zero bytes, so many that no valid picture ends with them. An interrupted download into a file of the final size
#: leaves them.
_NEVER_WRITTEN = bytes(16)
#: Fillers for data that end within a restart interval, and for missing intervals.
_FILLERS = (
    b"\x55" * 64,
    b"\xaa" * 64,
    b"\xff\0" * 64,
    b"".join(bytes((0xFF, 0xD0 + number)) + b"\x55\xaa" * 32 for number in range(8)),
)
_WITHOUT_BODY = {0x00, 0x01, *range(0xD0, 0xDA)}
# Decoders also skip fill bytes and garbage between segments.
_MARKER = re.compile(rb"\xff([^\xff])", re.DOTALL)


def read_header(data: bytes) -> ImageHeader:
    width_px = height_px = 0
    bits, exif, has_end = 8, None, True
    for marker, start, end in _segments(data):
        if marker in _FRAMES:
            bits, height_px, width_px = struct.unpack_from(">BHH", data, start)
            _refuse_what_is_not_read(marker, bits, height_px)
        elif marker == _APP1 and exif is None and data.startswith(b"Exif\0\0", start):
            exif = data[start:end]
        elif marker == _START_OF_SCAN:
            # Within a scan, FF is only followed by 00 or a restart marker, so the first end marker is that of
            # the picture.
            has_end = data.endswith(_END_MARK) or data.find(_END_MARK, end) >= 0
    return ImageHeader(
        format="JPEG",
        width_px=width_px,
        height_px=height_px,
        orientation=exif_orientation(exif) if exif else 1,
        alpha="none",
        bits=bits,
        has_end=has_end,
    )


def _refuse_what_is_not_read(frame: int, bits: int, height_px: int) -> None:
    if frame in _LOSSLESS_FRAMES:
        raise ImageError("lossless JPEG is not supported")
    if frame in _HIERARCHICAL_FRAMES:
        raise ImageError("hierarchical JPEG is not supported")
    if bits != 8:
        raise ImageError(f"JPEG of {bits} bits is not supported")
    if height_px == 0:
        raise ImageError("JPEG that declares its height after the picture is not supported")


def completed(data: bytes) -> bytes:
    """Adds the missing end marker, if nothing else is missing.

    The decoder fills in missing data without an error. Therefore the file is decoded several times, each time with
    other data in place of the missing part. If all results are equal, only the end marker is missing.

    Args:
        data: A file without end marker.

    Raises:
        ImageError: More than the end marker is missing.
    """
    body = data.removesuffix(b"\xff")  # half of the end marker
    if body.endswith(_NEVER_WRITTEN) or not _has_every_scan(body):
        raise ImageError("truncated JPEG")
    pictures = [_painted(body + filler + _END_MARK) for filler in (b"", *_FILLERS)]
    first = pictures[0]
    if first is None or any(picture is None or not np.array_equal(first, picture) for picture in pictures[1:]):
        raise ImageError("truncated JPEG")
    return body + _END_MARK


def _painted(data: bytes) -> npt.NDArray[Any] | None:
    """Decodes a damaged file through libtiff, because libjpeg alone would write messages to standard error."""
    height_px, width_px, channels = next(
        struct.unpack_from(">HHB", data, start + 1) for marker, start, _ in _segments(data) if marker in _FRAMES
    )
    color_space = {1: tiff.BLACK_IS_ZERO, 3: tiff.YCBCR}.get(channels, tiff.CMYK)
    file = tiff_file(
        [data],
        width_px=width_px,
        height_px=height_px,
        bits=8,
        channels=channels,
        color_space=color_space,
        compression=tiff.JPEG,
        rows_per_strip=height_px,
    )
    return cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)


def _has_every_scan(data: bytes) -> bool:
    """Whether the scans of a progressive file contain every coefficient of every component to its last bit."""
    components: set[int] = set()
    lacking: set[tuple[int, int]] = set()
    for marker, start, _ in _segments(data, to_the_end=True):
        if marker in _FRAMES:
            if marker not in _PROGRESSIVE_FRAMES:
                return True
            components = set(data[start + 6 : start + 6 + 3 * data[start + 5] : 3])
            lacking = {(component, place) for component in components for place in range(64)}
        elif marker == _START_OF_SCAN:
            count = data[start]
            first, last, bits = struct.unpack_from("BBB", data, start + 1 + 2 * count)
            if bits & 15 == 0:
                scanned = data[start + 1 : start + 1 + 2 * count : 2]
                lacking -= {(component, place) for component in scanned for place in range(first, last + 1)}
    return not lacking


def _segments(data: bytes, *, to_the_end: bool = False) -> Iterator[tuple[int, int, int]]:
    """Yields (marker, start of the body, end of the body) of each segment, by default up to the header of the first
    scan, which is included."""
    at, marker = 2, 0
    while marker != _START_OF_SCAN or to_the_end:
        found = _MARKER.search(data, at)
        if found is None:
            if to_the_end:
                return
            raise ImageError("truncated JPEG")
        marker, at = found[1][0], found.end()
        if marker not in _WITHOUT_BODY:
            (length,) = struct.unpack_from(">H", data, at)
            yield marker, at + 2, at + length
            at += max(length, 2)
