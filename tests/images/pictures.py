"""Pictures for the tests of formats, and Pillow as an independent reader for comparison."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

HEIGHT, WIDTH = 48, 64
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH]

#: Differs along both axes and in every corner, so that no turn or mirror image looks like another.
RGB = np.stack([_X * 4, _Y * 5, (_X + _Y) * 2], axis=-1).astype(np.uint8)
ALPHA = (255 - _X * 4).astype(np.uint8)

COLOR = Image.fromarray(RGB)
GRAY = COLOR.convert("L")
COLOR_ALPHA = Image.fromarray(np.dstack([RGB, ALPHA]))
GRAY_ALPHA = COLOR_ALPHA.convert("LA")
PALETTE = COLOR.quantize(64)
MIRRORED = ImageOps.mirror(COLOR)

#: High and low byte differ, so that rounding shows.
RGB16 = RGB.astype(np.uint16) * 256 + (_X % 256).astype(np.uint16)[..., None]


def encode(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def read_with_pillow(data: bytes) -> npt.NDArray[np.float64]:
    """The image as Pillow reads it: RGB on white, upright, 0 to 255, rounded."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if not picture.has_transparency_data:
        return np.asarray(picture.convert("RGB")).astype(float)
    rgba = np.asarray(picture.convert("RGBA")).astype(float)
    return np.rint(255 - rgba[..., 3:] * (255 - rgba[..., :3]) / 255)


def largest_difference(image: npt.NDArray[np.uint8], expected: npt.NDArray[np.float64]) -> float:
    assert image.shape == expected.shape
    return float(np.abs(image - expected.astype(float)).max())


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_that_declares(width: int, height: int, *, rows: int) -> bytes:
    """A 1-bit PNG that declares a size and contains ``rows`` rows."""
    body = zlib.compress(bytes((1 + (width + 7) // 8) * rows))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


def tiff(samples: npt.NDArray[np.generic], color_space: int, *, planar: bool = False, **tags: int) -> bytes:
    """An uncompressed TIFF of one strip per plane, of kinds that Pillow does not write.

    ``tags`` adds ``extra_samples``, ``sample_format`` or ``orientation``.
    """
    height, width, channels = samples.shape
    planes = [samples[..., i] for i in range(channels)] if planar else [samples]
    strips = [plane.astype(plane.dtype.newbyteorder("<")).tobytes() for plane in planes]
    body = b"".join(strips)
    short, long = 3, 4
    fields = [
        (256, long, [width]),
        (257, long, [height]),
        (258, short, [samples.dtype.itemsize * 8] * channels),
        (259, short, [1]),
        (262, short, [color_space]),
        (273, long, [8 + i * len(strips[0]) for i in range(len(strips))]),
        (274, short, [tags.get("orientation", 1)]),
        (277, short, [channels]),
        (278, long, [height]),
        (279, long, [len(strip) for strip in strips]),
        (284, short, [2 if planar else 1]),
    ]
    if "extra_samples" in tags:
        fields.append((338, short, [tags["extra_samples"]]))
    fields.append((339, short, [tags.get("sample_format", 1)] * channels))
    entries = b""
    for tag, kind, values in fields:
        value = struct.pack(f"<{len(values)}{'HI'[kind == long]}", *values)
        if len(value) > 4:
            body, value = body + value, struct.pack("<I", 8 + len(body))
        entries += struct.pack("<HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(fields)) + entries + bytes(4)


def bmp(header: bytes, pixels: bytes) -> bytes:
    start = 14 + len(header)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + pixels
