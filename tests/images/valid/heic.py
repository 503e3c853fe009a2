"""HEIC as written by phones and editors. Only the tests use the encoder, ``pillow-heif``."""

from __future__ import annotations

import io
import itertools
import struct
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

from tests.images.valid import ALPHA, GRAY, RGB, Files, as_rgb, on_white, quantised
from tests.images.valid.avif import TURNS

_TILE = 64


def files() -> Files:
    found: Files = {}
    rgba = np.dstack([RGB, ALPHA])
    seen = on_white(RGB, ALPHA)
    for chroma, bits in itertools.product((420, 422, 444), (8, 10, 12)):
        found[f"{chroma} {bits} bits"] = (encode(RGB, bits=bits, chroma=chroma), RGB)
        found[f"{chroma} {bits} bits alpha"] = (encode(rgba, bits=bits, chroma=chroma), seen)
    found["limited range"] = (encode(RGB, full_range_flag=0, chroma=444), RGB)
    found["BT.709"] = (encode(RGB, matrix_coefficients=1, chroma=444), RGB)
    for bits in (8, 10):
        found[f"gray {bits} bits"] = (encode(GRAY, bits=bits), as_rgb(GRAY))
    associated = np.dstack([np.rint(RGB * (ALPHA[..., None] / 255)).astype(np.uint8), ALPHA])
    found["premultiplied"] = (encode(associated, mode="RGBa", chroma=444), seen)
    for number, turn in TURNS.items():
        exif = Image.Exif()
        exif[274] = number
        found[f"orientation {number}"] = (encode(RGB, chroma=444, exif=exif.tobytes()), turn(RGB))
        found[f"orientation {number} alpha"] = (encode(rgba, chroma=444, exif=exif.tobytes()), turn(seen))
    second = np.ascontiguousarray(RGB[::-1])
    found["burst"] = (encode(RGB, more=[second]), RGB)
    found["burst, the second is the picture"] = (encode(RGB, more=[second], primary_index=1), second)
    large = np.asarray(Image.fromarray(RGB).resize((150, 100), Image.Resampling.BICUBIC))
    found["grid"] = (grid(large), large)
    found["grid as a phone turns it"] = (grid(large, quarter_turns=3), np.rot90(large, -1))
    found["profile"] = (encode(RGB, icc_profile=bytes(200)), RGB)
    for height, width in ((1, 1), (2, 9), (9, 2)):
        cut = np.ascontiguousarray(RGB[:height, :width])
        found[f"{width} x {height}"] = (encode(cut, chroma=444), cut)
    return found


def encode(
    samples: NDArray[Any],
    *,
    bits: int = 8,
    mode: str | None = None,
    more: list[NDArray[Any]] | None = None,
    quality: int = 97,
    **options: Any,
) -> bytes:
    before = pillow_heif.options.SAVE_HDR_TO_12_BIT
    pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
    try:
        pictures = [_picture(one, bits, mode) for one in (samples, *(more or ()))]
        buffer = io.BytesIO()
        pictures[0].save(buffer, quality=quality, append_images=[one[0] for one in pictures[1:]], **options)
    finally:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = before
    return buffer.getvalue()


def _picture(samples: NDArray[Any], bits: int, mode: str | None) -> Any:
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    if bits > 8:
        samples = (quantised(samples, bits) << (16 - bits)).astype("<u2")
    name = mode or {1: "L", 3: "RGB", 4: "RGBA"}[channels] + (";16" if bits > 8 else "")
    return pillow_heif.from_bytes(name, samples.shape[1::-1], samples.tobytes())


def grid(picture: NDArray[np.uint8], quarter_turns: int = 0) -> bytes:
    """A grid of tiles, each of which is a separate picture. Phones store large photos in this way.

    Args:
        picture: RGB.
        quarter_turns: Anticlockwise rotation that the file requires; EXIF requires the same.
    """
    height, width = picture.shape[:2]
    down, across = -(-height // _TILE), -(-width // _TILE)
    full = np.pad(picture, ((0, down * _TILE - height), (0, across * _TILE - width), (0, 0)), mode="edge")
    tiles = [
        encode(np.ascontiguousarray(full[y : y + _TILE, x : x + _TILE]), chroma=444)
        for y in range(0, down * _TILE, _TILE)
        for x in range(0, across * _TILE, _TILE)
    ]
    settings = {_box_in(tile, b"hvcC") for tile in tiles}
    assert len(settings) == 1
    bodies = [tile[tile.index(b"mdat") + 4 :] for tile in tiles]
    grid_id = len(tiles) + 1
    exif_id = grid_id + 1
    exif = Image.Exif()
    exif[274] = {0: 1, 1: 8, 2: 3, 3: 6}[quarter_turns]
    bodies += [struct.pack(">BBBBHH", 0, 0, down - 1, across - 1, width, height)]
    bodies += [bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0")]
    names = [b"hvc1"] * len(tiles) + [b"grid", b"Exif"]
    properties = (
        settings.pop()
        + _full_box(b"ispe", struct.pack(">II", _TILE, _TILE))
        + _full_box(b"ispe", struct.pack(">II", width, height))
        + _box(b"irot", bytes([quarter_turns]))
    )
    links = [(place, (0x81, 2)) for place in range(1, grid_id)] + [(grid_id, (3, 0x84) if quarter_turns else (3,))]
    ipma = struct.pack(">I", len(links)) + b"".join(
        struct.pack(">HB", item, len(places)) + bytes(places) for item, places in links
    )
    tile_ids = struct.pack(f">{len(tiles)}H", *range(1, grid_id))
    references = _box(b"dimg", struct.pack(">HH", grid_id, len(tiles)) + tile_ids)
    references += _box(b"cdsc", struct.pack(">HHH", exif_id, 1, grid_id))
    infos = b"".join(
        _full_box(b"infe", struct.pack(">HH4s", place, 0, name) + b"\0", 2) for place, name in enumerate(names, 1)
    )
    head = _box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(start: int) -> bytes:
        locations, at = b"", start
        for place, body in enumerate(bodies, 1):
            locations += struct.pack(">HHHII", place, 0, 1, at, len(body))
            at += len(body)
        return _full_box(
            b"meta",
            _full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
            + _full_box(b"pitm", struct.pack(">H", grid_id))
            + _full_box(b"iloc", struct.pack(">HH", 0x4400, len(bodies)) + locations)
            + _full_box(b"iinf", struct.pack(">H", len(names)) + infos)
            + _full_box(b"iref", references)
            + _box(b"iprp", _box(b"ipco", properties) + _full_box(b"ipma", ipma)),
        )

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + _box(b"mdat", b"".join(bodies))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full_box(kind: bytes, body: bytes, version: int = 0) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + body)


def _box_in(data: bytes, kind: bytes) -> bytes:
    start = data.index(kind) - 4
    return data[start : start + int.from_bytes(data[start : start + 4], "big")]
