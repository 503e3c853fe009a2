"""BMP files of all header versions.

They are decoded here, because OpenCV supports only few masks and interprets unused bytes as alpha.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from zoo.images.errors import ImageError
from zoo.images.formats.header import ImageHeader

_CORE, _V1, _V2, _V3, _OS2 = 12, 40, 52, 56, 64
_PLAIN, _RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 0, 1, 2, 3, 6
_DEFAULT_MASKS = {16: (0x7C00, 0x03E0, 0x001F), 32: (0xFF0000, 0xFF00, 0xFF)}

_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """``masks`` are those of red, green, blue and alpha. ``start`` is the position of the pixels in the file."""

    width_px: int
    height_px: int
    is_top_down: bool
    bits: int
    compression: int
    masks: tuple[int, int, int, int]
    palette: _Bytes
    start: int


def read_header(data: bytes) -> ImageHeader:
    layout = _read_layout(data)
    return ImageHeader(
        format="BMP",
        width_px=layout.width_px,
        height_px=layout.height_px,
        alpha="straight" if layout.masks[3] else "none",
    )


def has_palette(data: bytes) -> bool:
    return _read_layout(data).bits <= 8


def read_pixels(data: bytes) -> _Bytes:
    """Decodes to RGB, or to RGBA if the file has an alpha mask.

    Raises:
        ImageError: The file is cut off.
    """
    layout = _read_layout(data)
    if layout.compression in (_RLE8, _RLE4):
        rows = _colours(_run_lengths(data, layout), layout)
    else:
        row_bytes = (layout.width_px * layout.bits + 31) // 32 * 4
        needed = row_bytes * (layout.height_px - 1) + (layout.width_px * layout.bits + 7) // 8
        body = data[layout.start : layout.start + row_bytes * layout.height_px]
        if len(body) < needed:
            raise ImageError("truncated BMP")
        stored = np.frombuffer(body.ljust(row_bytes * layout.height_px, b"\0"), np.uint8).reshape(-1, row_bytes)
        rows = _rows(stored, layout)
    return rows if layout.is_top_down else rows[::-1]


def _read_layout(data: bytes) -> _Layout:
    start, header_bytes = struct.unpack_from("<II", data, 10)
    compression, colors, is_core = _PLAIN, 0, header_bytes == _CORE
    if is_core:
        width_px, height_px, _, bits = struct.unpack_from("<HHHH", data, 18)
    else:
        # A negative height means that rows are stored from top to bottom.
        width_px, height_px, _, bits, compression, colors = struct.unpack_from("<iiHHI12xI", data, 18)
    masks = (*_DEFAULT_MASKS.get(bits, (0, 0, 0)), 0)
    if bits in _DEFAULT_MASKS and not is_core:
        masks = _masks(data, header_bytes, compression, masks)
    _refuse_what_is_not_read(header_bytes, bits, compression)
    table = 14 + header_bytes
    if header_bytes == _V1:
        table += {_BITFIELDS: 12, _ALPHA_BITFIELDS: 16}.get(compression, 0)
    return _Layout(
        width_px=width_px,
        height_px=abs(height_px),
        is_top_down=height_px < 0,
        bits=bits,
        compression=compression,
        masks=masks,
        palette=_palette(data, table, start, bits, colors, is_core),
        start=start,
    )


def _masks(data: bytes, header_bytes: int, compression: int, default: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The masks of the file. Before its third version, the header had no alpha mask, and the other bits of a pixel,
    which are often 0, had no meaning."""
    has_masks = compression in (_BITFIELDS, _ALPHA_BITFIELDS) and header_bytes != _OS2
    has_alpha = (_V3 <= header_bytes != _OS2) or compression == _ALPHA_BITFIELDS
    red, green, blue = struct.unpack_from("<III", data, 54) if has_masks else default[:3]
    (alpha,) = struct.unpack_from("<I", data, 66) if has_alpha else (0,)
    return red, green, blue, alpha


def _refuse_what_is_not_read(header_bytes: int, bits: int, compression: int) -> None:
    if header_bytes == _OS2 and compression in (3, 4):
        raise ImageError(f"BMP with OS/2 {'Huffman' if compression == 3 else 'RLE24'} compression is not supported")
    if compression in (4, 5):
        raise ImageError(f"BMP that wraps a {'JPEG' if compression == 4 else 'PNG'} is not supported")
    depths = {
        _PLAIN: (1, 2, 4, 8, 16, 24, 32),
        _RLE8: (8,),
        _RLE4: (4,),
        _BITFIELDS: (16, 32),
        _ALPHA_BITFIELDS: (16, 32),
    }
    if bits not in depths.get(compression, ()):
        raise ImageError(f"damaged BMP: {bits} bits with compression {compression}")


def _palette(data: bytes, table: int, start: int, bits: int, colors: int, is_core: bool) -> _Bytes:
    """The colours of all possible indices. Those that the file omits are black."""
    palette = np.zeros((2**bits if bits <= 8 else 0, 3), np.uint8)
    size = 3 if is_core else 4
    room = max(min(start, len(data)) - table, 0) // size
    count = min(colors or len(palette), len(palette), room)
    if count:
        stored = np.frombuffer(data, np.uint8, count * size, table).reshape(count, size)
        palette[:count] = stored[:, 2::-1]
    return palette


def _rows(stored: _Bytes, layout: _Layout) -> _Bytes:
    width, bits = layout.width_px, layout.bits
    if bits == 24:
        return stored[:, : 3 * width].reshape(-1, width, 3)[..., ::-1]
    if bits == 8:
        return _colours(stored[:, :width], layout)
    if bits < 8:
        places = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
        indices = (stored[..., None] >> places & (2**bits - 1)).reshape(len(stored), -1)
        return _colours(indices[:, :width], layout)
    pixels = stored.view("<u2" if bits == 16 else "<u4")[:, :width]
    channels = [_masked(pixels, mask) for mask in (layout.masks if layout.masks[3] else layout.masks[:3])]
    return np.stack(channels, axis=-1)


def _colours(indices: _Bytes, layout: _Layout) -> _Bytes:
    return np.asarray(layout.palette[indices], np.uint8)


def _masked(pixels: npt.NDArray[np.unsignedinteger], mask: int) -> _Bytes:
    """The bits that a mask selects in each pixel, scaled from 0..(largest value) to 0..255."""
    mask &= 0xFFFF if pixels.dtype.itemsize == 2 else 0xFFFFFFFF
    if mask == 0:
        return np.zeros(pixels.shape, np.uint8)
    low = (mask & -mask).bit_length() - 1
    # More than 16 bits would need a large table without a visible difference.
    low = max(low, mask.bit_length() - 16)
    largest = mask >> low
    table = np.rint(np.arange(largest + 1) * (255 / largest)).astype(np.uint8)
    return np.asarray(table[pixels >> low & largest], np.uint8)


def _run_lengths(data: bytes, layout: _Layout) -> _Bytes:
    """Indices of a run-length encoded file. Pixels that it skips get index 0; the format does not define them."""
    width, height, is_rle4 = layout.width_px, layout.height_px, layout.compression == _RLE4
    indices = np.zeros((height, width), np.uint8)
    x = y = 0
    at = layout.start
    while y < height:
        if at + 2 > len(data):
            if y == height - 1 and x >= width:
                break
            raise ImageError("truncated BMP")
        count, value = data[at], data[at + 1]
        at += 2
        if count:
            pair = (value >> 4, value & 15) if is_rle4 else (value, value)
            indices[y, x : x + count : 2] = pair[0]
            indices[y, x + 1 : x + count : 2] = pair[1]
            x += count
        elif value == 0:
            x, y = 0, y + 1
        elif value == 1:
            break
        elif value == 2:
            x, y = x + data[at], y + data[at + 1]
            at += 2
        else:
            length = (value + 1) // 2 if is_rle4 else value
            if at + length > len(data):
                raise ImageError("truncated BMP")
            part = np.frombuffer(data, np.uint8, length, at)
            if is_rle4:
                part = np.stack([part >> 4, part & 15], -1).ravel()
            room = max(min(value, width - x), 0)
            indices[y, x : x + room] = part[:room]
            x += value
            at += length + length % 2
    return indices
