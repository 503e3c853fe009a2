"""Reads tags of a TIFF directory. EXIF blocks have the same format."""

from __future__ import annotations

import struct
from collections.abc import Collection

ORIENTATION = 274

#: The first four bytes of a file, with its byte order and whether its offsets have eight bytes.
_HEADERS = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
_TYPES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 6: ("b", 1), 8: ("h", 2), 9: ("i", 4), 13: ("I", 4), 16: ("Q", 8)}


def read_tags(block: bytes, wanted: Collection[int]) -> dict[int, tuple[int, ...]]:
    """Reads the values of the wanted tags from the first directory. Tags that are missing or not integers are left out.

    Raises:
        ValueError: ``block`` does not begin like a TIFF or BigTIFF file.
        struct.error: ``block`` ends before the directory or a value does.
    """
    order = byte_order(block)
    is_big = _HEADERS[block[:4]][1]
    if is_big:
        offset, count_code, entry_code, entry_bytes, inline_bytes = (8, "Q", "HHQ", 20, 8)
    else:
        offset, count_code, entry_code, entry_bytes, inline_bytes = (4, "H", "HHI", 12, 4)
    offset_code = "Q" if is_big else "I"
    (directory,) = struct.unpack_from(order + offset_code, block, offset)
    if directory > len(block):
        raise struct.error("the directory is beyond the end")
    (entries,) = struct.unpack_from(order + count_code, block, directory)
    start = directory + struct.calcsize(order + count_code)
    if start + entry_bytes * entries > len(block):
        raise struct.error("the directory ends beyond the end")
    tags = {}
    for entry in range(start, start + entry_bytes * entries, entry_bytes):
        tag, kind, count = struct.unpack_from(order + entry_code, block, entry)
        if tag not in wanted or kind not in _TYPES or count < 1:
            continue
        code, size = _TYPES[kind]
        # A short value is stored in the entry itself. For a longer one, the entry contains its position.
        at = entry + entry_bytes - inline_bytes
        if size * count > inline_bytes:
            (at,) = struct.unpack_from(order + offset_code, block, at)
        if at + size * count > len(block):
            raise struct.error("a value is beyond the end")
        tags[tag] = struct.unpack_from(f"{order}{count}{code}", block, at)
    return tags


def byte_order(block: bytes) -> str:
    """``<`` or ``>``, as ``struct`` and NumPy write it.

    Raises:
        ValueError: ``block`` does not begin like a TIFF or BigTIFF file.
    """
    if block[:4] not in _HEADERS:
        raise ValueError("no TIFF header")
    return _HEADERS[block[:4]][0]


def exif_orientation(exif: bytes) -> int:
    """Reads the EXIF orientation, 1 to 8. It is 1 (upright) if the block is damaged, or the tag is missing or invalid.

    Args:
        exif: The EXIF block, with or without its ``Exif\\0\\0`` prefix.
    """
    try:
        tags = read_tags(exif.removeprefix(b"Exif\0\0"), {ORIENTATION})
    except (ValueError, struct.error):
        return 1
    return valid_orientation(tags.get(ORIENTATION, (1,))[0])


def valid_orientation(value: int) -> int:
    """``value``, or 1 (upright) if it is not a valid orientation."""
    return value if 1 <= value <= 8 else 1
