"""PNG: every colour type, depth and filter, with and without interlacing, transparency, and ancillary chunks."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.images.pictures import png_chunk
from tests.images.valid import ALPHA, GRAY, HEIGHT, RGB, WIDTH, Files, on_white, packed, quantised, widened

_GRAY, _COLOUR, _PALETTE, _GRAY_ALPHA, _COLOUR_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {
    _GRAY: (1, 2, 4, 8, 16),
    _COLOUR: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GRAY_ALPHA: (8, 16),
    _COLOUR_ALPHA: (8, 16),
}
_NAMES = {_GRAY: "gray", _COLOUR: "rgb", _PALETTE: "palette", _GRAY_ALPHA: "gray alpha", _COLOUR_ALPHA: "rgba"}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def files() -> Files:
    found: Files = {}
    for kind, depths in _DEPTHS.items():
        for bits, interlaced in itertools.product(depths, (False, True)):
            name = f"{_NAMES[kind]} {bits}{' interlaced' if interlaced else ''}"
            samples, palette, expected = _samples(kind, bits)
            found[name] = (encode(samples, kind, bits, interlaced, palette), expected)
            if kind in (_GRAY, _COLOUR):
                key = samples[5, 9]
                seen = np.where((samples == key).all(-1)[..., None], 255, expected)
                chunk = png_chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
                found[f"{name} one transparent"] = (encode(samples, kind, bits, interlaced, chunk), seen)
            if kind == _PALETTE:
                alphas = np.linspace(0, 255, 2**bits).astype(np.uint8)
                chunk = palette + png_chunk(b"tRNS", alphas.tobytes())
                seen = on_white(expected, alphas[samples[..., 0]])
                found[f"{name} alphas"] = (encode(samples, kind, bits, interlaced, chunk), seen)
    plain, _, expected = _samples(_COLOUR, 8)
    between = {
        "gAMA": png_chunk(b"gAMA", struct.pack(">I", 100000)),
        "sRGB and pHYs": png_chunk(b"sRGB", b"\0") + png_chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
        "iCCP": png_chunk(b"iCCP", b"name\0\0" + zlib.compress(b"no profile")),
        "cICP": png_chunk(b"cICP", bytes([9, 16, 0, 1])),
        "suggested palette": png_chunk(b"PLTE", bytes(range(30))),
        "background": png_chunk(b"bKGD", struct.pack(">HHH", 1, 2, 3)),
        "significant bits": png_chunk(b"sBIT", bytes([5, 6, 5])),
        "text and time": png_chunk(b"tEXt", b"Title\0x") + png_chunk(b"tIME", bytes([7, 232, 1, 1, 0, 0, 0])),
        "unknown chunk": png_chunk(b"abCd", b"??"),
    }
    for name, chunks in between.items():
        found[f"rgb 8 with {name}"] = (encode(plain, _COLOUR, 8, False, chunks), expected)
    found["rgb 8 in many IDAT, one of them empty"] = (encode(plain, _COLOUR, 8, False, b"", idat_bytes=100), expected)
    for side in ((1, 1), (1, 9), (9, 1), (3, 2)):
        cut = plain[: side[0], : side[1]]
        for interlaced in (False, True):
            name = f"rgb 8 of {side[1]} x {side[0]}{' interlaced' if interlaced else ''}"
            found[name] = (encode(cut, _COLOUR, 8, interlaced, b""), cut)
    return found


def _samples(kind: int, bits: int) -> tuple[NDArray[Any], bytes, NDArray[Any]]:
    """Samples ``(height, width, channels)``, the palette chunk if there is one, and the expected picture."""
    if kind == _PALETTE:
        colours = np.stack(
            [np.arange(2**bits) * 255 // (2**bits - 1), 255 - np.arange(2**bits), np.full(2**bits, 90)], -1
        )
        chunk = png_chunk(b"PLTE", colours.astype(np.uint8).tobytes())
        indices = quantised(GRAY, bits)
        return indices[..., None], chunk, colours.astype(np.uint8)[indices].astype(float)
    value = quantised(GRAY, bits)[..., None] if kind in (_GRAY, _GRAY_ALPHA) else quantised(RGB, bits)
    rgb = np.broadcast_to(widened(value, bits), (HEIGHT, WIDTH, 3))
    if kind in (_GRAY_ALPHA, _COLOUR_ALPHA):
        alpha = quantised(ALPHA, bits)
        return np.dstack([value, alpha]), b"", on_white(rgb, widened(alpha, bits))
    return value, b"", rgb


def encode(
    samples: NDArray[Any], kind: int, bits: int, interlaced: bool, chunks: bytes, idat_bytes: int | None = None
) -> bytes:
    height, width, channels = samples.shape
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    lines = b"".join(
        _filtered(packed(part.reshape(len(part), -1), bits), max(bits * channels // 8, 1))
        for top, left, down, right in passes
        if (part := samples[top::down, left::right]).size
    )
    body = zlib.compress(lines)
    step = idat_bytes or len(body)
    parts = [body[at : at + step] for at in range(0, len(body), step)]
    if idat_bytes:
        parts.insert(1, b"")
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlaced))
    idat = b"".join(png_chunk(b"IDAT", part) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + header + chunks + idat + png_chunk(b"IEND", b"")


def _filtered(rows: NDArray[np.uint8], step: int) -> bytes:
    """Filters the rows with the five filters in turn."""
    wide = rows.astype(np.int64)
    left = np.pad(wide, ((0, 0), (step, 0)))[:, :-step]
    above = np.pad(wide, ((1, 0), (0, 0)))[:-1]
    corner = np.pad(left, ((1, 0), (0, 0)))[:-1]
    near = left + above - corner
    distance = [np.abs(near - other) for other in (left, above, corner)]
    paeth = np.where(
        (distance[0] <= distance[1]) & (distance[0] <= distance[2]),
        left,
        np.where(distance[1] <= distance[2], above, corner),
    )
    guesses = (np.zeros_like(wide), left, above, (left + above) // 2, paeth)
    return b"".join(
        bytes([y % 5]) + ((row - guesses[y % 5][y]) % 256).astype(np.uint8).tobytes() for y, row in enumerate(wide)
    )
