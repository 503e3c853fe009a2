"""Reads the pixels of a TIFF: unpacks its blocks, and interprets the samples with NumPy.

OpenCV by itself refuses or misreads many valid files: palettes and gray of fewer than 8 bits, floating point, 32 bits,
two channels, planes of 16 bits. It always unpacks LZW and fax strips correctly. Therefore such strips or tiles are
copied unchanged into a simple gray file, which OpenCV unpacks.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from zoo.images.errors import ImageError
from zoo.images.formats.tiff import (
    BLACK_IS_ZERO,
    CMYK,
    FAX,
    FLOAT,
    LZW,
    PACKBITS,
    PALETTE,
    RGB,
    SIGNED,
    UNCOMPRESSED,
    WHITE_IS_ZERO,
    Layout,
)
from zoo.images.formats.tiff_file import tiff_file
from zoo.images.product import product

_Bytes = npt.NDArray[np.uint8]

_BAND_SAMPLES = 2**20
_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3
_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8)[:, ::-1], axis=1).ravel()

#: White of formats that do not define it: the first of these values that no sample exceeds.
_WHITES = (1.0, 255.0, 65535.0, float(2**32 - 1), float(2**64 - 1))


def read_pixels(data: bytes, layout: Layout) -> _Bytes:
    """Reads gray ``(height, width)``, RGB, or either with alpha as ``(height, width, 2 or 4)``, with samples of 8 bits.

    Orientation and alpha are not applied.

    Raises:
        ImageError: Blocks are missing, cut off or damaged.
    """
    shape = (layout.height_px, layout.width_px, 1 if layout.is_planar else layout.channels)
    wanted = [*range(layout.color_channels), *([layout.alpha_channel] if layout.alpha_channel is not None else [])]
    if layout.is_planar:
        planes = [_rows(data, layout, plane) for plane in wanted]
        picked = slice(None)
    else:
        planes = [_rows(data, layout, 0)]
        picked = wanted if len(wanted) != layout.channels else slice(None)  # type: ignore[assignment]
    white = _white(planes, layout, shape)
    out: list[_Bytes] = []
    for top, bottom in _bands(layout):
        samples = [_samples(plane[top:bottom], layout, shape[1] * shape[2]).reshape(-1, *shape[1:]) for plane in planes]
        band = np.concatenate(samples, axis=2) if layout.is_planar else samples[0][..., picked]
        out.append(_colours(band, layout, white))
    return np.concatenate(out)


def _bands(layout: Layout) -> Iterator[tuple[int, int]]:
    rows = max(_BAND_SAMPLES // max(layout.width_px * layout.channels, 1), 1)
    for top in range(0, layout.height_px, rows):
        yield top, min(top + rows, layout.height_px)


def _rows(data: bytes, layout: Layout, plane: int) -> _Bytes:
    """The unpacked bytes of each row of a plane, ``(height, bytes)``, with the predictor undone."""
    per_pixel = 1 if layout.is_planar else layout.channels
    row_bytes = (layout.block_width * per_pixel * layout.bits + 7) // 8
    if min(layout.block_width, layout.block_height) < 1:
        raise ImageError("damaged TIFF: declares no size")
    across = -(-layout.width_px // layout.block_width)
    down = -(-layout.height_px // layout.block_height)
    first, count = plane * across * down, across * down
    offsets = layout.offsets[first : first + count]
    if len(offsets) < count:
        raise ImageError("truncated TIFF: strips or tiles are missing")
    heights = [layout.block_height] * count
    if not layout.is_tiled:
        heights[-1] = layout.height_px - layout.block_height * (count - 1)
    sizes = layout.byte_counts[first : first + count]
    if len(sizes) < count:  # some programs that write a single strip omit them
        sizes = tuple(row_bytes * height for height in heights) if layout.compression == UNCOMPRESSED else ()
    if layout.compression == UNCOMPRESSED:
        sizes = tuple(row_bytes * height for height in heights)
    if len(sizes) < count or any(at + size > len(data) for at, size in zip(offsets, sizes, strict=True)):
        raise ImageError("truncated TIFF")
    blocks = [data[at : at + size] for at, size in zip(offsets, sizes, strict=True)]
    if layout.compression == UNCOMPRESSED:
        rows = np.frombuffer(b"".join(blocks), np.uint8).reshape(-1, row_bytes)
        if layout.fill_order == 2:
            rows = _REVERSED[rows]
    else:
        rows = _unpacked(blocks, heights, row_bytes, layout)
    rows = _without_predictor(rows, layout, per_pixel)
    if layout.is_tiled:
        tiles = rows.reshape(down, across, layout.block_height, row_bytes)
        rows = tiles.transpose(0, 2, 1, 3).reshape(down * layout.block_height, across * row_bytes)
    return rows[: layout.height_px]


def _unpacked(blocks: list[bytes], heights: list[int], row_bytes: int, layout: Layout) -> _Bytes:
    if layout.compression in FAX:
        ones = _by_libtiff(blocks, sum(heights), layout.block_width, 1, layout)
        return np.packbits(ones > 0, axis=1)
    if layout.compression == LZW:
        # If libtiff reports damaged data, OpenCV refuses it only if the samples have 16 bits.
        bits = 8 if row_bytes % 2 else 16
        rows = _by_libtiff(blocks, sum(heights), row_bytes * 8 // bits, bits, layout)
        return rows.view(np.uint8)
    unpack = _packbits if layout.compression == PACKBITS else _inflated
    sizes = [row_bytes * height for height in heights]
    whole = b"".join(unpack(block, size) for block, size in zip(blocks, sizes, strict=True))
    return np.frombuffer(whole, np.uint8).reshape(-1, row_bytes)


def _by_libtiff(
    blocks: list[bytes], height: int, width: int, bits: int, layout: Layout
) -> npt.NDArray[np.uint8 | np.uint16]:
    file = tiff_file(
        blocks,
        width_px=width,
        height_px=height,
        bits=bits,
        channels=1,
        color_space=BLACK_IS_ZERO,
        compression=layout.compression,
        rows_per_strip=layout.block_height,
        fill_order=layout.fill_order,
        options=layout.options,
    )
    rows = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if rows is None or rows.shape != (height, width):
        raise ImageError("damaged, truncated or unusual TIFF")
    return np.asarray(rows, np.uint16 if bits == 16 else np.uint8)


def _inflated(block: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        found = inflater.decompress(block, size)
        # The checksum is only compared at the end of the stream, after the last byte.
        inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error:
        raise ImageError("damaged TIFF") from None
    return _of_size(found, size)


def _packbits(block: bytes, size: int) -> bytes:
    found, at, length = [], 0, 0
    while length < size and at < len(block):
        count = block[at]
        if count < 128:
            found.append(block[at + 1 : at + 2 + count])
            at += 2 + count
        elif count > 128:
            found.append(block[at + 1 : at + 2] * (257 - count))
            at += 2
        else:
            at += 1
            continue
        length += len(found[-1])
    return _of_size(b"".join(found)[:size], size)


def _of_size(found: bytes, size: int) -> bytes:
    if len(found) < size:
        raise ImageError("truncated TIFF")
    return found


def _without_predictor(rows: _Bytes, layout: Layout, per_pixel: int) -> _Bytes:
    if layout.compression == UNCOMPRESSED or layout.predictor not in (_DIFFERENCES, _FLOAT_DIFFERENCES):
        return rows
    if layout.bits % 8:
        raise ImageError(f"TIFF with a predictor of {layout.bits} bits is not supported")
    size = layout.bits // 8
    if layout.predictor == _FLOAT_DIFFERENCES:
        sums = np.cumsum(rows.reshape(len(rows), -1, per_pixel), axis=1, dtype=np.uint8)
        by_place = sums.reshape(len(rows), size, -1).transpose(0, 2, 1)  # most significant byte first
        in_order = by_place[..., ::-1] if layout.order == "<" else by_place
        return np.ascontiguousarray(in_order).reshape(len(rows), -1)
    stored = np.dtype(f"{layout.order}u{size}")
    differences = np.ascontiguousarray(rows).view(stored).reshape(len(rows), -1, per_pixel)
    sums = np.cumsum(differences, axis=1, dtype=stored.newbyteorder("="))
    return sums.astype(stored).view(np.uint8).reshape(len(rows), -1)


def _samples(rows: _Bytes, layout: Layout, count: int) -> npt.NDArray[np.generic]:
    """The first ``count`` samples of each row."""
    if layout.bits in (8, 16, 32, 64):
        letter = {SIGNED: "i", FLOAT: "f"}.get(layout.sample_format, "u")
        stored = np.dtype(f"{layout.order}{letter}{layout.bits // 8}")
        return np.ascontiguousarray(rows).view(stored)[:, :count].astype(stored.newbyteorder("="), copy=False)
    ones = np.unpackbits(rows, axis=1, count=count * layout.bits).reshape(len(rows), count, layout.bits)
    weights = (1 << np.arange(layout.bits - 1, -1, -1)).astype(np.uint16)
    return np.asarray((ones * weights).sum(axis=2, dtype=np.uint16))


def _white(planes: list[_Bytes], layout: Layout, shape: tuple[int, ...]) -> float:
    """The sample value of white."""
    if layout.bits <= 16 and layout.sample_format != FLOAT:
        return float(2 ** (layout.bits - (layout.sample_format == SIGNED)) - 1)
    largest = 0.0
    for plane in planes:
        for top, bottom in _bands(layout):
            samples = _samples(plane[top:bottom], layout, shape[1] * shape[2]).astype(np.float64)
            largest = max(largest, float(np.max(samples, initial=0.0, where=np.isfinite(samples))))
    for white in _WHITES[layout.sample_format != FLOAT :]:
        if largest <= white:
            return white
    raise ImageError(f"TIFF with floating point samples up to {largest:.3g} is not supported: no value is white")


def _colours(samples: npt.NDArray[np.generic], layout: Layout, white: float) -> _Bytes:
    if layout.color_space == PALETTE:
        return _looked_up(samples, layout)
    values = _as_bytes(samples, white)
    if layout.color_space == WHITE_IS_ZERO:
        values[..., 0] = 255 - values[..., 0]
    if layout.color_space == CMYK:
        ink, black = values[..., :3], values[..., 3:4]
        rgb = product(255 - ink, np.broadcast_to(255 - black, ink.shape))
        return np.concatenate([rgb, values[..., 4:]], axis=2) if values.shape[2] > 4 else rgb
    return values[..., 0] if values.shape[2] == 1 and layout.color_space != RGB else values


def _looked_up(samples: npt.NDArray[np.generic], layout: Layout) -> _Bytes:
    size = 2**layout.bits
    if len(layout.palette) < 3 * size:
        raise ImageError("damaged TIFF: its palette is missing or too short")
    palette = np.array(layout.palette[: 3 * size], np.uint16).reshape(3, size).T
    # The high byte is correct for v * 256 and v * 257. Some programs only fill the low byte.
    colours = (palette >> (8 if palette.max() > 255 else 0)).astype(np.uint8)
    rgb = np.asarray(colours[samples[..., 0]], np.uint8)
    if samples.shape[2] == 1:
        return rgb
    return np.concatenate([rgb, _as_bytes(samples[..., 1:], size - 1)], axis=2)


def _as_bytes(samples: npt.NDArray[np.generic], white: float) -> _Bytes:
    """Scales 0 to ``white`` to 0 to 255, rounded. Values outside this range are clipped, and NaN becomes black."""
    if samples.dtype == np.uint8 and white == 255:
        return np.array(samples, np.uint8)
    if samples.dtype == np.uint8 or samples.dtype == np.uint16:
        scaled = cv2.convertScaleAbs(np.ascontiguousarray(samples).reshape(len(samples), -1), alpha=255 / white)
        return np.asarray(scaled, np.uint8).reshape(samples.shape)
    values = np.nan_to_num(samples.astype(np.float64), nan=0.0)
    return np.rint(np.clip(values * (255 / white), 0, 255)).astype(np.uint8)
