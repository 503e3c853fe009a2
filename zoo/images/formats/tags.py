"""Reads tags of a TIFF directory, which is also the form of EXIF."""

from __future__ import annotations

import struct
from collections.abc import Collection

ORIENTATION = 274

_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_INTEGER_TYPES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}
_MOST_VALUES = 64  # what is asked for has one value, or one per channel


def read_tags(block: bytes, wanted: Collection[int]) -> dict[int, tuple[int, ...]]:
    """The wanted integer tags of the first directory, those that are there.

    Raises:
        ValueError: ``block`` does not begin like a TIFF file.
        struct.error: It ends before the directory does.
    """
    order = _BYTE_ORDERS.get(block[:4])
    if order is None:
        raise ValueError("no TIFF header")
    (directory,) = struct.unpack_from(order + "I", block, 4)
    (entries,) = struct.unpack_from(order + "H", block, directory)
    tags = {}
    for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", block, entry)
        if tag not in wanted or kind not in _INTEGER_TYPES or not 1 <= count <= _MOST_VALUES:
            continue
        code, size = _INTEGER_TYPES[kind]
        # Up to four bytes stand in the entry itself; more stand where it points.
        start = entry + 8 if size * count <= 4 else struct.unpack_from(order + "I", block, entry + 8)[0]
        tags[tag] = struct.unpack_from(f"{order}{count}{code}", block, start)
    return tags


def exif_orientation(exif: bytes) -> int:
    """EXIF orientation, 1 to 8; 1, upright, for a block that is damaged, has no such tag or an invalid value.

    Args:
        exif: The EXIF block, with or without its ``Exif\\0\\0`` prefix.
    """
    try:
        tags = read_tags(exif.removeprefix(b"Exif\0\0"), {ORIENTATION})
    except (ValueError, struct.error):
        return 1
    value = tags.get(ORIENTATION, (1,))[0]
    return value if 1 <= value <= 8 else 1
