"""Rotates an image upright. The stored pixels of a JPEG are not changed."""

from __future__ import annotations

import struct

import cv2

from zoo.images import ImageError, look, probe

#: EXIF orientation for a counter-clockwise rotation in degrees.
_EXIF_ORIENTATION = {90: 8, 180: 3, 270: 6}
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def turned(data: bytes, degrees: int) -> bytes:
    """The same image, rotated when displayed.

    A JPEG gets an EXIF orientation relative to its stored pixels; an existing one is replaced. Any other image is
    rotated and saved as PNG, which is lossless.

    Args:
        data: The whole file.
        degrees: Counter-clockwise rotation: 0, 90, 180 or 270.

    Raises:
        ImageError: The data is not an image.
    """
    if degrees == 0:
        return data
    if probe(data).format == "JPEG":
        return _with_orientation(data, _EXIF_ORIENTATION[degrees])
    image = cv2.rotate(look(data)[0], _TURNS[degrees])
    done, png = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise ImageError("could not be rotated")
    return png.tobytes()


def _with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Adds an orientation. Existing EXIF data is removed, because its orientation is no longer correct."""
    exif = struct.pack(">4sIHHHIHHI", b"MM\0*", 8, 1, 274, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + exif
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    kept, at = [], 2
    while jpeg[at : at + 1] == b"\xff" and jpeg[at + 1 : at + 2] not in (b"\xda", b"\xd8", b"\xd9", b"\xff", b""):
        (length,) = struct.unpack_from(">H", jpeg, at + 2)
        whole = jpeg[at : at + 2 + length]
        if not (whole[1] == 0xE1 and whole[4:].startswith(b"Exif\0\0")):
            kept.append(whole)
        at += 2 + max(length, 2)
    # JFIF comes first, if present, and EXIF follows.
    jfif = 1 if kept and kept[0][1] == 0xE0 else 0
    return b"".join([jpeg[:2], *kept[:jfif], segment, *kept[jfif:], jpeg[at:]])
