"""BMP: every header, depth and compression, all kinds of masks, stored bottom-up and top-down."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.images.valid import ALPHA, GRAY, HEIGHT, RGB, WIDTH, Files, on_white, packed, quantised, widened

_CORE, _INFO, _V2, _V3, _OS2, _V4, _V5 = 12, 40, 52, 56, 64, 108, 124
_PLAIN, _RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 0, 1, 2, 3, 6
_HEADERS = {_CORE: "core", _INFO: "info", _V2: "V2", _V3: "V3", _OS2: "OS/2 V2", _V4: "V4", _V5: "V5"}

#: For each name, the bits of a pixel and the masks of red, green, blue and alpha.
_MASKS = {
    "565": (16, 0xF800, 0x07E0, 0x001F, 0),
    "555": (16, 0x7C00, 0x03E0, 0x001F, 0),
    "565 BGR": (16, 0x001F, 0x07E0, 0xF800, 0),
    "444": (16, 0x0F00, 0x00F0, 0x000F, 0),
    "4444": (16, 0x0F00, 0x00F0, 0x000F, 0xF000),
    "1555": (16, 0x7C00, 0x03E0, 0x001F, 0x8000),
    "8888": (32, 0xFF0000, 0xFF00, 0xFF, 0xFF000000),
    "888x": (32, 0xFF0000, 0xFF00, 0xFF, 0),
    "888 in the high bytes": (32, 0xFF000000, 0xFF0000, 0xFF00, 0),
    "8888 in the high bytes": (32, 0xFF000000, 0xFF0000, 0xFF00, 0xFF),
    "RGBA order": (32, 0xFF, 0xFF00, 0xFF0000, 0xFF000000),
    "RGBX order": (32, 0xFF, 0xFF00, 0xFF0000, 0),
    "10 bits": (32, 0x3FF00000, 0x000FFC00, 0x000003FF, 0),
    "565 in 32": (32, 0xF800, 0x07E0, 0x001F, 0),
}


def files() -> Files:
    found: Files = {}
    for (header, kind), bits, top_down in itertools.product(_HEADERS.items(), (1, 2, 4, 8), (False, True)):
        if (header == _CORE and top_down) or (bits == 2 and top_down):
            continue
        indices = quantised(GRAY, bits)
        colours = _palette(2**bits)
        name = f"{kind} {bits} palette{' top down' if top_down else ''}"
        data = encode(header, bits, _rows(packed(indices, bits)), palette=colours, top_down=top_down)
        found[name] = (data, colours[indices])
    for header, kind in _HEADERS.items():
        found[f"{kind} 24"] = (encode(header, 24, _rows(RGB[..., ::-1].reshape(HEIGHT, -1))), RGB)
        if header != _CORE:
            found[f"{kind} 24 top down"] = (
                encode(header, 24, _rows(RGB[..., ::-1].reshape(HEIGHT, -1)), top_down=True),
                RGB,
            )
            pixels, expected = _through((16, 0x7C00, 0x03E0, 0x001F, 0))
            found[f"{kind} 16 without masks"] = (encode(header, 16, pixels), expected)
            unused = np.dstack([RGB[..., ::-1], np.zeros_like(GRAY)]).reshape(HEIGHT, -1)
            found[f"{kind} 32 without masks"] = (encode(header, 32, _rows(unused)), RGB)
    for (name, masks), header in itertools.product(_MASKS.items(), (_INFO, _V2, _V3, _V4, _V5)):
        has_alpha_field = header >= _V3
        pixels, expected = _through(masks if has_alpha_field else (*masks[:4], 0))
        data = encode(header, masks[0], pixels, compression=_BITFIELDS, masks=masks[1:])
        found[f"{_HEADERS[header]} masks {name}"] = (data, expected)
    for name in ("8888", "4444"):
        pixels, expected = _through(_MASKS[name])
        data = encode(_INFO, _MASKS[name][0], pixels, compression=_ALPHA_BITFIELDS, masks=_MASKS[name][1:])
        found[f"info alpha masks {name}"] = (data, expected)
    for bits, compression in ((8, _RLE8), (4, _RLE4)):
        for name, (body, seen) in _run_lengths(bits).items():
            data = encode(_INFO, bits, body, compression=compression, palette=_palette(2**bits))
            found[f"RLE{bits} {name}"] = (data, seen)
    few = quantised(GRAY, 3)
    found["info 8 palette of 8 colours"] = (
        encode(_INFO, 8, _rows(few.astype(np.uint8)), palette=_palette(8)),
        _palette(8)[few],
    )
    gap = encode(_INFO, 24, _rows(RGB[..., ::-1].reshape(HEIGHT, -1)), gap=20)
    found["info 24 with a gap before the pixels"] = (gap, RGB)
    found["info 24 that says no file size"] = (gap[:2] + bytes(4) + gap[6:], RGB)
    return found


def _palette(count: int) -> NDArray[np.uint8]:
    steps = np.arange(count)
    return np.stack([steps * 255 // (count - 1), 255 - steps * 200 // (count - 1), np.full(count, 90)], -1).astype(
        np.uint8
    )


def _rows(rows: NDArray[Any]) -> NDArray[np.uint8]:
    """Pads each row to a multiple of four bytes."""
    return np.pad(np.asarray(rows, np.uint8), ((0, 0), (0, -rows.shape[1] % 4)))


def _through(masks: tuple[int, ...]) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Rows of the drawn picture with these masks, and the expected picture."""
    bits, *fields = masks
    pixels = np.zeros((HEIGHT, WIDTH), np.int64)
    seen = []
    for values, mask in zip((*np.moveaxis(RGB, -1, 0), ALPHA), fields, strict=True):
        if mask:
            shift, width = (mask & -mask).bit_length() - 1, mask.bit_count()
            samples = quantised(values, width)
            pixels |= samples << shift
            seen.append(widened(samples, width))
    little = pixels.astype("<u4").view(np.uint8).reshape(HEIGHT, WIDTH, 4)[..., : bits // 8]
    rgb = np.stack(seen[:3], -1)
    return _rows(little.reshape(HEIGHT, -1)), on_white(rgb, seen[3]) if len(seen) > 3 else rgb


def _run_lengths(bits: int) -> dict[str, tuple[bytes, NDArray[Any]]]:
    """The run-length code, and the expected picture."""
    colours = _palette(2**bits)
    indices = quantised(np.where(GRAY % 7 < 3, GRAY, 60), bits)
    runs, absolute = b"", b""
    for row in indices[::-1].tolist():
        for value, group in itertools.groupby(row):
            runs += bytes([len(list(group)), value if bits == 8 else value * 17])
        runs += b"\0\0"
        for at in range(0, len(row), 16):
            part = row[at : at + 16]
            if len(part) < 3:
                absolute += b"".join(bytes([1, value if bits == 8 else value * 16]) for value in part)
                continue
            packed_part = bytes(part) if bits == 8 else packed(np.array([part]), 4).tobytes()
            absolute += bytes([0, len(part)]) + packed_part + bytes(len(packed_part) % 2)
        absolute += b"\0\0"
    # Skipped pixels have colour 0.
    jumped = np.broadcast_to(colours[0], (HEIGHT, WIDTH, 3)).copy()
    body = b""
    half, wide = HEIGHT // 2, 20
    jumped[:half, 5 : 5 + wide] = colours[3]
    body = bytes([0, 2, 0, HEIGHT - half]) + (bytes([0, 2, 5, 0, wide, 3 if bits == 8 else 0x33]) + b"\0\0") * half
    return {
        "runs": (runs + b"\0\1", colours[indices]),
        "runs without an end mark": (runs, colours[indices]),
        "absolute": (absolute + b"\0\1", colours[indices]),
        "jumps": (body + b"\0\1", jumped),
    }


def encode(
    header_bytes: int,
    bits: int,
    body: NDArray[np.uint8] | bytes,
    *,
    compression: int = _PLAIN,
    masks: tuple[int, ...] = (),
    palette: NDArray[np.uint8] | None = None,
    top_down: bool = False,
    gap: int = 0,
) -> bytes:
    pixels = body if isinstance(body, bytes) else (body if top_down else body[::-1]).tobytes()
    colours = [] if palette is None else palette.tolist()
    if header_bytes == _CORE:
        header = struct.pack("<IHHHH", _CORE, WIDTH, HEIGHT, 1, bits)
        table = b"".join(bytes(colour[::-1]) for colour in colours)
    else:
        height = -HEIGHT if top_down else HEIGHT
        used = len(colours) if len(colours) not in (2, 4, 16, 256) else 0
        header = struct.pack(
            "<IiiHHIIiiII", header_bytes, WIDTH, height, 1, bits, compression, len(pixels), 2835, 2835, used, 0
        )
        table = b"".join(bytes([*colour[::-1], 0]) for colour in colours)
    if masks and header_bytes == _INFO:
        header += struct.pack("<III", *masks[:3])
        if compression == _ALPHA_BITFIELDS:
            header += struct.pack("<I", masks[3])
    elif header_bytes not in (_CORE, _INFO, _OS2):
        fields = struct.pack("<IIII", *masks) if masks else bytes(16)
        header += fields[: header_bytes - _INFO].ljust(header_bytes - _INFO, b"\0")
        if header_bytes >= _V4:
            header = header[:56] + b"BGRs" + header[60:]
    header = header.ljust(header_bytes, b"\0")
    start = 14 + len(header) + len(table) + gap
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + table + bytes(gap) + pixels
