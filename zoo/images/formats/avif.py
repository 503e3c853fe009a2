"""AVIF; of a sequence, the first frame."""

from __future__ import annotations

from zoo.images.formats.boxes import Container, brands
from zoo.images.formats.header import ImageHeader

BRANDS = {b"avif", b"avis"}

# (quarter turns anticlockwise, axis of the mirror that follows) as EXIF orientation; axis 0 swaps top and bottom
_ORIENTATIONS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


def read_header(data: bytes) -> ImageHeader:
    """Properties are taken as one lot: colour, alpha and thumbnail are turned alike, and the largest is the picture."""
    turns, axis, bits = 0, None, 8
    container = Container(data, "AVIF")
    for kind, start, _ in container.properties:
        if kind == b"irot":
            turns = data[start] & 3
        elif kind == b"imir":
            axis = data[start] & 1
        elif kind == b"av1C":
            deep, deeper = data[start + 2] & 0x40, data[start + 2] & 0x20
            bits = max(bits, (12 if deeper else 10) if deep else 8)
    width_px, height_px = container.largest_size()
    return ImageHeader(
        format="AVIF",
        width_px=width_px,
        height_px=height_px,
        orientation=_ORIENTATIONS[turns, axis],
        bits=bits,
    )


def with_brand(data: bytes) -> bytes:
    """The file under the brand that decoders look for; AV1 in a HEIF file need not name it."""
    return data if brands(data[:512]) & BRANDS else data[:8] + b"avif" + data[12:]
