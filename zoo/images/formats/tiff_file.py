"""Writes simple TIFF files around compressed data, so that libtiff unpacks the data."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_SHORT, _LONG = 3, 4
_FAX_3 = 3


def tiff_file(
    blocks: Sequence[bytes],
    *,
    width_px: int,
    height_px: int,
    bits: int,
    channels: int,
    color_space: int,
    compression: int,
    rows_per_strip: int,
    fill_order: int = 1,
    options: int = 0,
) -> bytes:
    """Writes a file in which each block is a strip. ``options`` are those of group 3 fax compression."""
    places, at = [], 8
    for block in blocks:
        places.append(at)
        at += len(block)
    fields: tuple[tuple[int, int, list[int]], ...] = (
        (256, _LONG, [width_px]),
        (257, _LONG, [height_px]),
        (258, _SHORT, [bits] * channels),
        (259, _SHORT, [compression]),
        (262, _SHORT, [color_space]),
        (266, _SHORT, [fill_order]),
        (273, _LONG, places),
        (277, _SHORT, [channels]),
        (278, _LONG, [rows_per_strip]),
        (279, _LONG, [len(block) for block in blocks]),
    )
    if compression == _FAX_3:
        fields = (*fields, (292, _LONG, [options]))
    body = [*blocks]
    entries = b""
    for tag, kind, values in fields:
        value = struct.pack(f"<{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        if len(value) > 4:
            body.append(value)
            value, at = struct.pack("<I", at), at + len(value)
        entries += struct.pack("<HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    return b"".join((b"II*\0", struct.pack("<I", at), *body, struct.pack("<H", len(fields)), entries, bytes(4)))
