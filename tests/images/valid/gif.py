"""GIF: palettes, interlacing, transparency, disposal, frames that cover a part, and extensions."""

from __future__ import annotations

import itertools
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.images.pictures import encode as encode_with_pillow
from tests.images.valid import GRAY, HEIGHT, WIDTH, Files, quantised

_COMMENT = b"!\xfe\x05hello\0"
_LOOP = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"


def files() -> Files:
    found: Files = {}
    for bits, interlaced in itertools.product(range(1, 9), (False, True)):
        indices = quantised(GRAY, bits).astype(np.uint8)
        name = f"{bits} bits{' interlaced' if interlaced else ''}"
        found[name] = (gif(frame(indices, bits, interlaced=interlaced), bits), palette(bits)[indices])
        found[f"{name} local palette"] = (
            gif(frame(indices, bits, interlaced=interlaced, local=True), None),
            palette(bits)[::-1][indices],
        )
    indices = quantised(GRAY, 4).astype(np.uint8)
    colours = palette(4)[indices]
    holes = np.where((indices == 5)[..., None], 255, colours)
    second = frame(15 - indices, 4, control=control(1, None))
    for disposal, clear, frames, background in itertools.product(range(4), (None, 5), (1, 2), (0, 5)):
        first = frame(indices, 4, control=control(disposal, clear))
        body = first + (second if frames == 2 else b"")
        name = f"disposal {disposal}, {'one clear' if clear else 'opaque'}, {frames} frames, background {background}"
        found[name] = (gif(_LOOP + body, 4, background=background), holes if clear else colours)
    both = frame(indices, 4, local=True)
    found["global and local palette"] = (gif(both, 4), palette(4)[::-1][indices])
    found["87a"] = (gif(frame(indices, 4), 4).replace(b"GIF89a", b"GIF87a"), colours)
    found["comment first"] = (gif(_COMMENT + frame(indices, 4), 4), colours)
    found["comment between control and image"] = (
        gif(control(0, 5) + _COMMENT + frame(indices, 4), 4),
        holes,
    )
    found["plain palette of 3 of 4 colours"] = (
        gif(frame(np.minimum(indices // 4, 2), 2), 2),
        palette(2)[np.minimum(indices // 4, 2)],
    )
    for clear, frames in itertools.product((None, 5), (1, 2)):
        part = indices[4:30, 7:40]
        seen = np.full((HEIGHT, WIDTH, 3), 255)
        seen[4:30, 7:40] = holes[4:30, 7:40] if clear else colours[4:30, 7:40]
        first = frame(part, 4, control=control(1, clear), left=7, top=4)
        data = gif(first + (second if frames == 2 else b""), 4, background=3)
        found[f"part of the canvas, {'one clear' if clear else 'opaque'}, {frames} frames"] = (data, seen)
    found["no end mark"] = (gif(frame(indices, 4), 4)[:-1], colours)
    picture = Image.fromarray(indices)
    picture.putpalette(palette(4).tobytes())
    found["real LZW"] = (encode_with_pillow(picture, "GIF"), colours)
    noise = np.random.default_rng(0).integers(0, 256, (150, 200)).astype(np.uint8)
    picture = Image.fromarray(noise)
    picture.putpalette(palette(8).tobytes())
    found["real LZW, full table"] = (encode_with_pillow(picture, "GIF"), palette(8)[noise])
    return found


def palette(bits: int) -> NDArray[np.uint8]:
    steps = np.arange(2**bits) * 255 // (2**bits - 1)
    return np.stack([steps, 255 - steps, np.full(2**bits, 90)], -1).astype(np.uint8)


def control(disposal: int, clear: int | None) -> bytes:
    return b"!\xf9\x04" + struct.pack("<BHBB", disposal << 2 | (clear is not None), 5, clear or 0, 0)


def frame(
    indices: NDArray[np.uint8],
    bits: int,
    *,
    interlaced: bool = False,
    local: bool = False,
    control: bytes = b"",
    left: int = 0,
    top: int = 0,
) -> bytes:
    height, width = indices.shape
    flags = interlaced << 6 | (0x80 | bits - 1 if local else 0)
    header = b"," + struct.pack("<HHHHB", left, top, width, height, flags)
    colours = palette(bits)[::-1].tobytes() if local else b""
    rows = np.concatenate([indices[0::8], indices[4::8], indices[2::4], indices[1::2]]) if interlaced else indices
    return control + header + colours + _uncompressed(rows.ravel().tolist(), max(bits, 2))


def _uncompressed(values: list[int], least: int) -> bytes:
    """LZW without compression: the table is cleared before codes become longer."""
    clear, end = 2**least, 2**least + 1
    codes = []
    for at in range(0, len(values), clear - 2):
        codes += [clear, *values[at : at + clear - 2]]
    codes.append(end)
    number = sum(code << (place * (least + 1)) for place, code in enumerate(codes))
    body = number.to_bytes((len(codes) * (least + 1) + 7) // 8, "little")
    blocks = [body[at : at + 255] for at in range(0, len(body), 255)]
    return bytes([least]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def gif(body: bytes, bits: int | None, background: int = 0) -> bytes:
    flags = 0x70 if bits is None else 0xF0 | (bits - 1)
    screen = struct.pack("<HHBBB", WIDTH, HEIGHT, flags, background, 0)
    return b"GIF89a" + screen + (b"" if bits is None else palette(bits).tobytes()) + body + b";"
