"""AVIF files. Of a sequence, the first frame is used."""

from __future__ import annotations

from zoo.images.formats.boxes import Container, brands
from zoo.images.formats.header import ImageHeader

BRANDS = {b"avif", b"avis"}

# EXIF orientation for each (number of anticlockwise quarter turns, axis of the mirroring that follows). Axis 0 swaps
# top and bottom.
_ORIENTATIONS = {
    (0, None): 1, (1, None): 8, (2, None): 3, (3, None): 6,
    (0, 0): 4, (1, 0): 5, (2, 0): 2, (3, 0): 7,
    (0, 1): 2, (1, 1): 7, (2, 1): 4, (3, 1): 5,
}  # fmt: skip


def read_header(data: bytes) -> ImageHeader:
    """Reads the properties of all images in the file together.

    Colour, alpha and thumbnail images have the same orientation, and the largest size is that of the picture.
    """
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
    """Returns the file with a brand of AVIF, which decoders require. A HEIF file with AV1 data may have none."""
    return data if brands(data[:512]) & BRANDS else data[:8] + b"avif" + data[12:]
