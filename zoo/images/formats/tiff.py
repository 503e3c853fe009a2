"""Reads the directory of the first page of TIFF and BigTIFF files."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from zoo.images.errors import ImageError
from zoo.images.formats.header import Alpha, ImageHeader
from zoo.images.formats.tags import ORIENTATION, byte_order, read_tags, valid_orientation

# Colour spaces, as in tag 262.
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
# Compressions, as in tag 259.
UNCOMPRESSED, LZW, OLD_JPEG, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 6, 7, 8, 32946, 32773
FAX = (2, 3, 4, 32771)
# Formats of samples, as in tag 339.
UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4

#: Maximum size of the unpacked samples of a picture in bytes.
MAX_SAMPLE_BYTES = 2**30

_COLOR_CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}
_COLOR_SPACES = {
    4: "a transparency mask",
    8: "CIELab colour",
    9: "ICC Lab colour",
    10: "ITU Lab colour",
    32844: "LogL luminance",
    32845: "LogLuv colour",
}
_COMPRESSIONS = {
    9: "JBIG",
    10: "JBIG",
    32766: "NeXT",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy DNG",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
}
_CAMERA_COLOR_SPACES = (32803, 34892)
_DNG_VERSION, _SUBFILE_TYPE, _SUB_DIRECTORIES, _IS_REDUCED = 50706, 254, 330, 1
_PREMULTIPLIED, _STRAIGHT = 1, 2
_DEPTHS = {UNSIGNED: (*range(1, 17), 32, 64), SIGNED: (8, 16, 32, 64), FLOAT: (16, 32, 64)}

#: Default of each tag with a single number.
_NUMBERS = {
    _SUBFILE_TYPE: 0,
    256: 0,
    257: 0,
    258: 1,
    259: UNCOMPRESSED,
    262: BLACK_IS_ZERO,
    266: 1,
    ORIENTATION: 1,
    277: 1,
    278: 2**32 - 1,
    284: 1,
    292: 0,
    317: 1,
    322: 0,
    323: 0,
    332: 1,
    339: UNSIGNED,
}
_LISTS = (258, 273, 279, 320, 324, 325, 338, 339, _DNG_VERSION, _SUB_DIRECTORIES)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the samples of the first page are stored in the file.

    Args:
        order: Byte order of the file, ``<`` or ``>``.
        bits: Bits of one sample.
        sample_format: ``UNSIGNED``, ``SIGNED`` or ``FLOAT``.
        channels: Number of samples per pixel, for colour and others.
        color_channels: Number of colour samples per pixel. They come first.
        alpha_channel: Index of the alpha channel. ``None`` if there is none.
        is_planar: Whether each channel is stored separately.
        block_width, block_height: Size of a tile or strip. The last strip may have fewer rows.
        is_tiled: Whether the blocks are tiles instead of strips.
        offsets, byte_counts: Position and size of each block. All blocks of the first plane come first.
        options: Options of group 3 fax compression (tag 292).
        palette: Red, green and blue of every index, 0 to 65535, one list after the other.
    """

    order: str
    width_px: int
    height_px: int
    orientation: int
    bits: int
    sample_format: int
    color_space: int
    compression: int
    predictor: int
    fill_order: int
    channels: int
    color_channels: int
    alpha_channel: int | None
    alpha: Alpha
    is_planar: bool
    is_tiled: bool
    block_width: int
    block_height: int
    offsets: tuple[int, ...]
    byte_counts: tuple[int, ...]
    options: int
    palette: tuple[int, ...]

    @property
    def is_for_opencv(self) -> bool:
        """Whether libtiff converts the samples to RGB itself. All others are converted by ``tiff_pixels``."""
        return self.compression in (OLD_JPEG, JPEG) or self.color_space == YCBCR


def read_header(data: bytes) -> ImageHeader:
    layout = read_layout(data)
    return ImageHeader(
        format="TIFF",
        width_px=layout.width_px,
        height_px=layout.height_px,
        # OpenCV applies the orientation of a TIFF whatever the flags are, and here that of no other format.
        orientation=1 if layout.is_for_opencv else layout.orientation,
        # Up to 8 bits, libtiff has already premultiplied alpha.
        alpha="premultiplied" if layout.is_for_opencv and layout.alpha != "none" else layout.alpha,
        bits=layout.bits,
    )


def read_layout(data: bytes) -> Layout:
    """Reads the directory. The error for a feature that is not supported names the feature."""
    try:
        tags = read_tags(data, {*_NUMBERS, *_LISTS})
    except (ValueError, struct.error):
        raise ImageError("truncated TIFF") from None
    number = {tag: tags.get(tag, (default,))[0] for tag, default in _NUMBERS.items()}
    is_reduced = bool(number[_SUBFILE_TYPE] & _IS_REDUCED)
    if _DNG_VERSION in tags or number[262] in _CAMERA_COLOR_SPACES or (is_reduced and _SUB_DIRECTORIES in tags):
        raise ImageError("camera RAW is not supported")
    if len(set(tags.get(258, ()))) > 1 or len(set(tags.get(339, ()))) > 1:
        raise ImageError("TIFF with channels of different depth is not supported")
    is_tiled = 324 in tags
    channels = number[277]
    color_channels = _COLOR_CHANNELS.get(number[262], 0)
    extra = tags.get(338, ())
    alpha_place = next((place for place, kind in enumerate(extra) if kind in (_PREMULTIPLIED, _STRAIGHT)), None)
    alpha: Alpha = "none"
    if alpha_place is not None and color_channels + alpha_place < channels:
        alpha = "straight" if extra[alpha_place] == _STRAIGHT else "premultiplied"
    layout = Layout(
        order=byte_order(data),
        width_px=number[256],
        height_px=number[257],
        orientation=valid_orientation(number[ORIENTATION]),
        bits=number[258],
        sample_format=UNSIGNED if number[339] == UNDEFINED else number[339],
        color_space=number[262],
        compression=number[259],
        predictor=number[317],
        fill_order=number[266],
        channels=channels,
        color_channels=color_channels,
        alpha_channel=None if alpha == "none" or alpha_place is None else color_channels + alpha_place,
        alpha=alpha,
        is_planar=number[284] == 2 and channels > 1,
        is_tiled=is_tiled,
        block_width=number[322] if is_tiled else number[256],
        block_height=number[323] if is_tiled else min(number[278], number[257]),
        offsets=tags.get(324 if is_tiled else 273, ()),
        byte_counts=tags.get(325 if is_tiled else 279, ()),
        options=number[292],
        palette=tags.get(320, ()),
    )
    _refuse_what_is_not_read(layout, ink_set=number[332])
    return layout


def _refuse_what_is_not_read(layout: Layout, ink_set: int) -> None:
    if not layout.color_channels or (layout.color_space == CMYK and ink_set != 1):
        name = _COLOR_SPACES.get(layout.color_space, "inks other than CMYK" if layout.color_channels else "")
        raise ImageError(f"TIFF in {name or f'colour space {layout.color_space}'} is not supported")
    known = (UNCOMPRESSED, LZW, OLD_JPEG, JPEG, DEFLATE, OLD_DEFLATE, PACKBITS, *FAX)
    if layout.compression not in known:
        name = _COMPRESSIONS.get(layout.compression, f"of kind {layout.compression}")
        raise ImageError(f"TIFF with {name} compression is not supported")
    if layout.bits not in _DEPTHS.get(layout.sample_format, ()):
        kind = {SIGNED: "signed ", FLOAT: "floating point "}.get(layout.sample_format, "")
        if layout.sample_format not in _DEPTHS:
            raise ImageError("TIFF with complex samples is not supported")
        raise ImageError(f"TIFF with {kind}samples of {layout.bits} bits is not supported")
    if layout.channels < layout.color_channels:
        raise ImageError(f"damaged TIFF: {layout.channels} of {layout.color_channels} channels")
    if layout.is_for_opencv and layout.bits != 8:
        kind = "YCbCr" if layout.color_space == YCBCR else "JPEG"
        raise ImageError(f"{kind} TIFF of {layout.bits} bits is not supported")
    if layout.compression in FAX and (layout.bits, layout.channels) != (1, 1):
        raise ImageError("damaged TIFF: fax compression of more than one bit")
    sample_bytes = layout.width_px * layout.height_px * layout.channels * layout.bits // 8
    if sample_bytes > MAX_SAMPLE_BYTES and layout.width_px * layout.height_px <= 2**28:
        raise ImageError(f"declares {sample_bytes / 2**30:.1f} GiB of samples, more than {MAX_SAMPLE_BYTES >> 30} GiB")
