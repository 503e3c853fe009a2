"""AVIF; of a sequence, the first frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from zoo.images.errors import ImageError
from zoo.images.formats.header import ImageHeader

# (quarter turns anticlockwise, axis of the mirror that follows) as EXIF orientation; axis 0 swaps top and bottom
_ORIENTATIONS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


class _Box(NamedTuple):
    kind: bytes
    start: int  # of the body
    end: int


def read_header(data: bytes) -> ImageHeader:
    """Properties are taken as one lot: colour, alpha and thumbnail are turned alike, and the largest is the picture."""
    width_px = height_px = turns = 0
    axis = None
    bits = 8
    for kind, start, _ in _item_properties(data):
        if kind == b"ispe":
            size = struct.unpack_from(">II", data, start + 4)
            width_px, height_px = max((width_px, height_px), size, key=lambda side: side[0] * side[1])
        elif kind == b"irot":
            turns = data[start] & 3
        elif kind == b"imir":
            axis = data[start] & 1
        elif kind == b"av1C":
            deep, deeper = data[start + 2] & 0x40, data[start + 2] & 0x20
            bits = max(bits, (12 if deeper else 10) if deep else 8)
    return ImageHeader(
        format="AVIF",
        width_px=width_px,
        height_px=height_px,
        orientation=_ORIENTATIONS[turns, axis],
        max_value=2**bits - 1,
    )


def _item_properties(data: bytes) -> Iterator[_Box]:
    meta = _first(data, b"meta", _Box(b"", 0, len(data)))
    properties = _first(data, b"iprp", meta._replace(start=meta.start + 4))  # after its version
    return _boxes(data, _first(data, b"ipco", properties))


def _first(data: bytes, kind: bytes, parent: _Box) -> _Box:
    for box in _boxes(data, parent):
        if box.kind == kind:
            return box
    raise ImageError("damaged AVIF")


def _boxes(data: bytes, parent: _Box) -> Iterator[_Box]:
    at = parent.start
    while at + 8 <= parent.end:
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        end = parent.end if size == 0 else at + size
        if end > len(data):
            raise ImageError("truncated AVIF")
        if end < body:
            raise ImageError("damaged AVIF")
        yield _Box(kind, body, end)
        at = end
