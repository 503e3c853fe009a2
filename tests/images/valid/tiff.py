"""TIFF: depths, sample formats, colour spaces, planes, strips and tiles, compressions, predictors and byte orders."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.images.pictures import encode as encode_with_pillow
from tests.images.valid import ALPHA, GRAY, HEIGHT, RGB, WIDTH, Files, as_rgb, on_white, packed, quantised, widened

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_NONE, _LZW, _DEFLATE, _PACKBITS = 1, 5, 8, 32773
_SHORT, _LONG, _LONG8 = 3, 4, 16
_COMPRESSIONS = {_NONE: "", _LZW: " LZW", _DEFLATE: " deflate", 32946: " old deflate", _PACKBITS: " packbits"}


def files() -> Files:
    return _gray() | _palettes() | _colour() | _alpha() | _layouts() | _predictors() | _by_pillow() | _orientations()


def _gray() -> Files:
    found: Files = {}
    orders = {"<": "", ">": " big endian"}
    for bits, (space, kind), (order, end) in itertools.product(
        (1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 32),
        ((_BLACK_IS_ZERO, "gray"), (_WHITE_IS_ZERO, "white is zero")),
        orders.items(),
    ):
        samples = quantised(GRAY, bits)
        stored = 2**bits - 1 - samples if space == _WHITE_IS_ZERO else samples
        found[f"{kind} {bits}{end}"] = (
            encode(stored[..., None], bits, space, order=order),
            as_rgb(widened(samples, bits)),
        )
    for kind, bits, white in (
        ("i", 8, 127),
        ("i", 16, 32767),
        ("f", 16, 1),
        ("f", 32, 1),
        ("f", 64, 1),
        ("f", 32, 255),
        ("f", 32, 65535),
        ("i", 32, 255),
    ):
        for order, end in orders.items():
            values = GRAY.astype(float) * white / 255
            values = np.rint(values) if kind == "i" else values
            samples = values.astype(f"{order}{kind}{bits // 8}")
            sample_format = 3 if kind == "f" else 2
            name = f"{'float' if kind == 'f' else 'signed'} gray {bits} up to {white}{end}"
            data = encode(samples[..., None], bits, _BLACK_IS_ZERO, order=order, sample_format=sample_format)
            found[name] = (data, as_rgb(values * 255 / white))
    return found


def _palettes() -> Files:
    found: Files = {}
    for bits, order in itertools.product((1, 2, 4, 8), "<>"):
        steps = np.arange(2**bits) * 255 // (2**bits - 1)
        colours = np.stack([steps, 255 - steps, np.full(2**bits, 90)], -1)
        indices = quantised(GRAY, bits)
        for scale in (256, 257):
            data = encode(indices[..., None], bits, _PALETTE, order=order, palette=(colours * scale).T.ravel().tolist())
            found[f"palette {bits} times {scale} {order}"] = (data, colours[indices])
    return found


def _colour() -> Files:
    found: Files = {}
    for bits, planar, order in itertools.product((4, 8, 12, 16, 32), (False, True), "<>"):
        samples = quantised(RGB, bits)
        name = f"rgb {bits}{' planar' if planar else ''} {order}"
        found[name] = (encode(samples, bits, _RGB, order=order, planar=planar), widened(samples, bits))
    for planar, bits in itertools.product((False, True), (16, 32)):
        samples = (RGB / 255).astype(f"<f{bits // 8}")
        found[f"rgb float {bits}{' planar' if planar else ''}"] = (
            encode(samples, bits, _RGB, planar=planar, sample_format=3),
            RGB,
        )
    ink = np.dstack([255 - RGB, (GRAY // 3)[..., None]]).astype(float)
    seen = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255
    for bits, planar in itertools.product((8, 16), (False, True)):
        found[f"cmyk {bits}{' planar' if planar else ''}"] = (
            encode(quantised(ink, bits), bits, _CMYK, planar=planar),
            seen,
        )
    for horizontal, vertical in ((1, 1), (2, 1), (2, 2)):
        found[f"ycbcr {horizontal} {vertical}"] = (_ycbcr(horizontal, vertical), RGB)
    return found


def _ycbcr(horizontal: int, vertical: int) -> bytes:
    """Blocks of luma values, each with one pair of chroma values."""
    bordered = np.pad(RGB, ((0, -HEIGHT % vertical), (0, -WIDTH % horizontal), (0, 0)), mode="edge")
    y, cr, cb = np.moveaxis(cv2.cvtColor(bordered, cv2.COLOR_RGB2YCrCb).astype(float), -1, 0)
    blocks = y.reshape(len(y) // vertical, vertical, -1, horizontal).transpose(0, 2, 1, 3)
    luma = blocks.reshape(*blocks.shape[:2], -1)
    small = [c.reshape(len(y) // vertical, vertical, -1, horizontal).mean(axis=(1, 3))[..., None] for c in (cb, cr)]
    body = np.rint(np.concatenate([luma, *small], axis=2)).astype(np.uint8).tobytes()
    return _file(body, [len(body)], 8, 3, _YCBCR, extra=[(530, _SHORT, [horizontal, vertical])])


def _alpha() -> Files:
    found: Files = {}
    for bits, planar in itertools.product((8, 16), (False, True)):
        end = f"{bits}{' planar' if planar else ''}"
        alpha = quantised(ALPHA, bits)
        opacity = ALPHA[..., None] / 255
        straight, associated = quantised(RGB, bits), quantised(RGB * opacity, bits)
        seen = on_white(RGB, ALPHA)
        gray = np.dstack([quantised(GRAY, bits), alpha])
        found[f"rgb straight alpha {end}"] = (
            encode(np.dstack([straight, alpha]), bits, _RGB, planar=planar, extra=[2]),
            seen,
        )
        found[f"rgb associated alpha {end}"] = (
            encode(np.dstack([associated, alpha]), bits, _RGB, planar=planar, extra=[1]),
            seen,
        )
        found[f"rgb and an unspecified channel {end}"] = (
            encode(np.dstack([straight, alpha]), bits, _RGB, planar=planar, extra=[0]),
            RGB,
        )
        found[f"rgb and a channel without a word {end}"] = (
            encode(np.dstack([straight, alpha]), bits, _RGB, planar=planar),
            RGB,
        )
        found[f"rgb, a channel, and alpha {end}"] = (
            encode(np.dstack([straight, straight[..., :1], alpha]), bits, _RGB, planar=planar, extra=[0, 2]),
            seen,
        )
        found[f"gray alpha {end}"] = (
            encode(gray, bits, _BLACK_IS_ZERO, planar=planar, extra=[2]),
            on_white(as_rgb(GRAY), ALPHA),
        )
    ink = np.dstack([255 - RGB, np.zeros_like(GRAY), ALPHA]).astype(np.int64)
    found["cmyk alpha 8"] = (encode(ink, 8, _CMYK, extra=[2]), on_white(RGB, ALPHA))
    return found


def _layouts() -> Files:
    found: Files = {}
    kinds = {
        "rgb 8": (quantised(RGB, 8), 8, _RGB, RGB),
        "rgb 16": (quantised(RGB, 16), 16, _RGB, RGB),
        "gray 1": (quantised(GRAY, 1)[..., None], 1, _BLACK_IS_ZERO, as_rgb(widened(quantised(GRAY, 1), 1))),
        "gray 4": (quantised(GRAY, 4)[..., None], 4, _BLACK_IS_ZERO, as_rgb(widened(quantised(GRAY, 4), 4))),
        "gray 12": (quantised(GRAY, 12)[..., None], 12, _BLACK_IS_ZERO, as_rgb(GRAY)),
    }
    for (kind, (samples, bits, space, seen)), compression, planar in itertools.product(
        kinds.items(), (_NONE, _LZW, _DEFLATE, 32946, _PACKBITS), (False, True)
    ):
        if planar and samples.shape[2] == 1:
            continue
        for layout, options in {"one strip": {}, "strips": {"rows": 8}, "tiles": {"tile": (16, 32)}}.items():
            name = f"{kind}{_COMPRESSIONS[compression]}{' planar' if planar else ''} in {layout}"
            found[name] = (encode(samples, bits, space, compression=compression, planar=planar, **options), seen)
    samples = quantised(RGB, 8)
    for order in "<>":
        found[f"big tiff {order}"] = (encode(samples, 8, _RGB, order=order, big=True), RGB)
        found[f"big tiff in strips {order}"] = (encode(samples, 8, _RGB, order=order, big=True, rows=5), RGB)
    found["fill order 2"] = (
        encode(quantised(GRAY, 1)[..., None], 1, _BLACK_IS_ZERO, fill_order=2),
        as_rgb(widened(quantised(GRAY, 1), 1)),
    )
    found["no byte counts"] = (encode(samples, 8, _RGB, leave_out=(279,)), RGB)
    found["no rows per strip"] = (encode(samples, 8, _RGB, leave_out=(278,)), RGB)
    return found


def _predictors() -> Files:
    found: Files = {}
    for bits, compression, order, options in itertools.product(
        (8, 16, 32), (_LZW, _DEFLATE), "<>", ({}, {"rows": 8}, {"tile": (16, 16)}, {"planar": True})
    ):
        name = f"predictor 2 of {bits} bits{_COMPRESSIONS[compression]} {order} {options}"
        samples = quantised(RGB, bits)
        found[name] = (encode(samples, bits, _RGB, compression=compression, order=order, predictor=2, **options), RGB)
    for bits, order in itertools.product((16, 32, 64), "<>"):
        samples = (RGB / 255).astype(f"{order}f{bits // 8}")
        found[f"predictor 3 of {bits} bits {order}"] = (
            encode(samples, bits, _RGB, compression=_DEFLATE, order=order, predictor=3, sample_format=3),
            RGB,
        )
    return found


def _by_pillow() -> Files:
    found: Files = {}
    color, gray = Image.fromarray(RGB), Image.fromarray(GRAY)
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits"):
        found[f"Pillow {compression}"] = (encode_with_pillow(color, "TIFF", compression=compression), RGB)
        found[f"Pillow {compression} gray"] = (encode_with_pillow(gray, "TIFF", compression=compression), as_rgb(GRAY))
    for compression in ("tiff_ccitt", "group3", "group4", "tiff_lzw", "packbits"):
        one = gray.point(lambda value: 255 * (value > 90)).convert("1", dither=Image.Dither.NONE)
        found[f"Pillow {compression} 1 bit"] = (
            encode_with_pillow(one, "TIFF", compression=compression),
            as_rgb(255 * (GRAY > 90)),
        )
    inks = Image.fromarray(np.dstack([255 - RGB, GRAY * 0]), "CMYK")
    for name, picture, seen in (("rgb", color, RGB), ("gray", gray, as_rgb(GRAY)), ("cmyk", inks, RGB)):
        found[f"Pillow jpeg {name}"] = (encode_with_pillow(picture, "TIFF", compression="jpeg", quality=95), seen)
    found |= _jpeg_blocks()
    second = Image.fromarray(255 - RGB)
    found["Pillow two pages"] = (encode_with_pillow(color, "TIFF", save_all=True, append_images=[second]), RGB)
    found["Pillow big tiff"] = (encode_with_pillow(color, "TIFF", big_tiff=True), RGB)
    found["Pillow float"] = (encode_with_pillow(gray.convert("F"), "TIFF"), as_rgb(GRAY))
    found["Pillow 32-bit"] = (encode_with_pillow(gray.convert("I"), "TIFF"), as_rgb(GRAY))
    return found


def _jpeg_blocks() -> Files:
    """Strips and tiles that are whole JPEG files."""
    found: Files = {}
    kinds = {"YCbCr": (RGB, _YCBCR, 2), "RGB": (RGB, _RGB, 0), "gray": (GRAY[..., None], _BLACK_IS_ZERO, 0)}
    for (kind, (samples, space, subsampling)), layout in itertools.product(kinds.items(), ("strips", "tiles")):
        tile = (16, 16) if layout == "tiles" else None
        blocks = []
        for block in _blocks(samples, 16, tile):
            picture = Image.fromarray(block[..., 0] if samples.shape[2] == 1 else block)
            options = {"keep_rgb": True} if space == _RGB else {"subsampling": subsampling}
            blocks.append(encode_with_pillow(picture, "JPEG", quality=95, **options))
        more = [(530, _SHORT, [2, 2])] if space == _YCBCR else []
        sizes, channels = [len(block) for block in blocks], samples.shape[2]
        body = b"".join(blocks)
        data = _file(body, sizes, 8, channels, space, compression=7, rows=16, tile=tile, extra=more)
        found[f"jpeg {kind} in {layout}"] = (data, RGB if channels == 3 else as_rgb(GRAY))
    return found


def _orientations() -> Files:
    turns = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1]}
    turns |= {5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a.swapaxes(0, 1), 2)}
    turns[8] = np.rot90
    found: Files = {}
    for number, turn in turns.items():
        found[f"orientation {number} rgb 8"] = (encode(quantised(RGB, 8), 8, _RGB, orientation=number), turn(RGB))
        found[f"orientation {number} gray 12"] = (
            encode(quantised(GRAY, 12)[..., None], 12, _BLACK_IS_ZERO, orientation=number),
            turn(as_rgb(GRAY)),
        )
        jpeg = encode_with_pillow(Image.fromarray(RGB), "TIFF", compression="jpeg", quality=95, tiffinfo={274: number})
        found[f"orientation {number} jpeg"] = (jpeg, turn(RGB))
    return found


def encode(
    samples: NDArray[Any],
    bits: int,
    space: int,
    *,
    order: str = "<",
    compression: int = _NONE,
    planar: bool = False,
    rows: int = HEIGHT,
    tile: tuple[int, int] | None = None,
    predictor: int = 1,
    sample_format: int = 1,
    extra: list[int] | None = None,
    palette: list[int] | None = None,
    fill_order: int = 1,
    orientation: int = 1,
    big: bool = False,
    leave_out: tuple[int, ...] = (),
) -> bytes:
    """A TIFF file of ``(height, width, channels)``. Samples that do not have 8, 16, 32 or 64 bits are packed."""
    planes = [samples[..., [place]] for place in range(samples.shape[2])] if planar else [samples]
    blocks = [
        _compressed(_stored(block, bits, order, predictor, sample_format), compression, fill_order)
        for plane in planes
        for block in _blocks(plane, rows, tile)
    ]
    more: list[tuple[int, int, list[int]]] = [
        (266, _SHORT, [fill_order]),
        (274, _SHORT, [orientation]),
        (284, _SHORT, [2 if planar else 1]),
        (339, _SHORT, [sample_format] * samples.shape[2]),
    ]
    if predictor > 1:
        more.append((317, _SHORT, [predictor]))
    if extra is not None:
        more.append((338, _SHORT, extra))
    if palette is not None:
        more.append((320, _SHORT, palette))
    return _file(
        b"".join(blocks),
        [len(block) for block in blocks],
        bits,
        samples.shape[2],
        space,
        order=order,
        compression=compression,
        rows=rows,
        tile=tile,
        extra=more,
        big=big,
        leave_out=leave_out,
    )


def _blocks(plane: NDArray[Any], rows: int, tile: tuple[int, int] | None) -> list[NDArray[Any]]:
    if tile is None:
        return [plane[top : top + rows] for top in range(0, len(plane), rows)]
    high, wide = tile
    full = np.pad(plane, ((0, -plane.shape[0] % high), (0, -plane.shape[1] % wide), (0, 0)), mode="edge")
    corners = itertools.product(range(0, full.shape[0], high), range(0, full.shape[1], wide))
    return [full[top : top + high, left : left + wide] for top, left in corners]


def _stored(block: NDArray[Any], bits: int, order: str, predictor: int, sample_format: int) -> bytes:
    height, _, channels = block.shape
    if bits not in (8, 16, 32, 64):
        return packed(block, bits).tobytes()
    kind = np.dtype(f"{order}{'uif'[sample_format - 1]}{bits // 8}")
    values = block.astype(kind)
    if predictor == 2:
        values = np.diff(block, axis=1, prepend=0).astype(np.int64).astype(kind)
    if predictor == 3:
        by_place = values.astype(kind.newbyteorder(">")).view(np.uint8).reshape(height, -1, bits // 8)
        line = by_place.transpose(0, 2, 1).reshape(height, -1, channels).astype(np.int64)
        return (np.diff(line, axis=1, prepend=0) % 256).astype(np.uint8).tobytes()
    return values.tobytes()


def _compressed(block: bytes, compression: int, fill_order: int) -> bytes:
    if fill_order == 2:
        return bytes(int(f"{byte:08b}"[::-1], 2) for byte in block)
    if compression in (_DEFLATE, 32946):
        return zlib.compress(block)
    if compression == _PACKBITS:
        return b"".join(_pack(block[at : at + 128]) for at in range(0, len(block), 128))
    if compression == _LZW:
        return _lzw(block)
    return block


def _pack(part: bytes) -> bytes:
    is_run = len(part) > 1 and len(set(part)) == 1
    return bytes([257 - len(part), part[0]]) if is_run else bytes([len(part) - 1]) + part


def _lzw(block: bytes) -> bytes:
    """The LZW of TIFF: the high bit first, and codes become longer one code early."""
    clear, end = 256, 257
    table = {bytes([value]): value for value in range(256)}
    codes: list[tuple[int, int]] = [(clear, 9)]
    following, width, prefix = 258, 9, b""
    for at in range(len(block)):
        longer = prefix + block[at : at + 1]
        if longer in table:
            prefix = longer
            continue
        codes.append((table[prefix], width))
        table[longer] = following
        following += 1
        if following == 4094:
            codes.append((clear, width))
            table = {bytes([value]): value for value in range(256)}
            following, width = 258, 9
        elif following in (512, 1024, 2048):
            width += 1
        prefix = block[at : at + 1]
    codes.append((table[prefix], width))
    if following + 1 in (512, 1024, 2048):
        width += 1
    codes.append((end, width))
    number = "".join(f"{code:0{bits}b}" for code, bits in codes)
    number += "0" * (-len(number) % 8)
    return int(number, 2).to_bytes(len(number) // 8, "big")


def _file(
    body: bytes,
    sizes: list[int],
    bits: int,
    channels: int,
    space: int,
    *,
    order: str = "<",
    compression: int = _NONE,
    rows: int = HEIGHT,
    tile: tuple[int, int] | None = None,
    extra: list[tuple[int, int, list[int]]],
    big: bool = False,
    leave_out: tuple[int, ...] = (),
) -> bytes:
    head = 16 if big else 8
    offsets = [head + sum(sizes[:place]) for place in range(len(sizes))]
    wide = _LONG8 if big else _LONG
    fields = [
        (256, _LONG, [WIDTH]),
        (257, _LONG, [HEIGHT]),
        (258, _SHORT, [bits] * channels),
        (259, _SHORT, [compression]),
        (262, _SHORT, [space]),
        (277, _SHORT, [channels]),
        *extra,
    ]
    if tile is None:
        fields += [(273, wide, offsets), (278, _LONG, [rows]), (279, wide, sizes)]
    else:
        fields += [(322, _LONG, [tile[1]]), (323, _LONG, [tile[0]]), (324, wide, offsets), (325, wide, sizes)]
    fields = sorted(field for field in fields if field[0] not in leave_out)
    room, place_code = (8, "Q") if big else (4, "I")
    entries = b""
    body += bytes(len(body) % 2)
    for tag, kind, values in fields:
        value = struct.pack(f"{order}{len(values)}{ {_SHORT: 'H', _LONG: 'I', _LONG8: 'Q'}[kind] }", *values)
        if len(value) > room:
            body, value = body + value, struct.pack(order + place_code, head + len(body))
        entries += struct.pack(f"{order}HH{place_code}", tag, kind, len(values)) + value.ljust(room, b"\0")
    mark = b"II" if order == "<" else b"MM"
    start = head + len(body)
    if big:
        header = mark + struct.pack(order + "HHHQ", 43, 8, 0, start)
        return header + body + struct.pack(order + "Q", len(fields)) + entries + bytes(8)
    return (
        mark + struct.pack(order + "HI", 42, start) + body + struct.pack(order + "H", len(fields)) + entries + bytes(4)
    )
