"""Every format and colour mode is decoded to the same pixels as by Pillow, an independent reader."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.images.pictures import (
    ALPHA,
    COLOR,
    COLOR_ALPHA,
    GRAY,
    GRAY_ALPHA,
    HEIGHT,
    MIRRORED,
    PALETTE,
    RGB,
    RGB16,
    WIDTH,
    bmp,
    encode,
    largest_difference,
    png_chunk,
    read_with_pillow,
    tiff,
)
from zoo.images import ImageError, decode

ONE_BIT = COLOR.convert("1")

FILES = {
    "jpeg": encode(COLOR, "JPEG", quality=95),
    "jpeg without chroma subsampling": encode(COLOR, "JPEG", quality=95, subsampling=0),
    "progressive jpeg": encode(COLOR, "JPEG", progressive=True),
    "gray jpeg": encode(GRAY, "JPEG"),
    "png": encode(COLOR, "PNG"),
    "gray png": encode(GRAY, "PNG"),
    "1-bit png": encode(ONE_BIT, "PNG"),
    "palette png": encode(PALETTE, "PNG"),
    "2-bit palette png": encode(COLOR.quantize(4), "PNG", bits=2),
    "animated png": encode(COLOR, "PNG", save_all=True, append_images=[MIRRORED]),
    "bmp": encode(COLOR, "BMP"),
    "gray bmp": encode(GRAY, "BMP"),
    "1-bit bmp": encode(ONE_BIT, "BMP"),
    "palette bmp": encode(PALETTE, "BMP"),
    "palette gif": encode(PALETTE, "GIF"),
    "interlaced gif": encode(PALETTE, "GIF", interlace=1),
    "animated gif": encode(COLOR, "GIF", save_all=True, append_images=[MIRRORED]),
    "lossless webp": encode(COLOR, "WEBP", lossless=True),
    "lossy webp": encode(COLOR, "WEBP", quality=90),
    "animated webp": encode(COLOR, "WEBP", save_all=True, append_images=[MIRRORED], lossless=True),
    "tiff": encode(COLOR, "TIFF"),
    "lzw tiff": encode(COLOR, "TIFF", compression="tiff_lzw"),
    "jpeg tiff": encode(COLOR, "TIFF", compression="jpeg"),
    "fax tiff": encode(ONE_BIT, "TIFF", compression="group4"),
    "gray tiff": encode(GRAY, "TIFF"),
    "palette tiff": encode(PALETTE, "TIFF"),
    "cmyk tiff": encode(COLOR.convert("CMYK"), "TIFF"),
    "planar tiff": tiff(RGB, color_space=2, planar=True),
    "white-is-zero tiff": tiff(np.asarray(GRAY)[..., None], color_space=0),
    "multi-page tiff": encode(COLOR, "TIFF", save_all=True, append_images=[MIRRORED]),
    "avif": encode(COLOR, "AVIF", quality=95),
    "gray avif": encode(GRAY, "AVIF", quality=95),
    "animated avif": encode(COLOR, "AVIF", save_all=True, append_images=[MIRRORED]),
    "mpo": encode(COLOR, "MPO", save_all=True, append_images=[MIRRORED]),
}

FILES_WITH_ALPHA = {
    "png": encode(COLOR_ALPHA, "PNG"),
    "gray png": encode(GRAY_ALPHA, "PNG"),
    "palette png, one transparent colour": encode(PALETTE, "PNG", transparency=5),
    "palette png, alpha for each colour": encode(PALETTE, "PNG", transparency=bytes(range(0, 256, 4))),
    "gray png, one transparent level": encode(GRAY, "PNG", transparency=100),
    "rgb png, one transparent colour": encode(COLOR, "PNG", transparency=tuple(RGB[10, 10].tolist())),
    "bmp with an alpha mask": cv2.imencode(".bmp", np.dstack([RGB[..., ::-1], ALPHA]))[1].tobytes(),
    "gif": encode(PALETTE, "GIF", transparency=5),
    "lossless webp": encode(COLOR_ALPHA, "WEBP", lossless=True, exact=True),
    "lossy webp": encode(COLOR_ALPHA, "WEBP", quality=90),
    "tiff": encode(COLOR_ALPHA, "TIFF"),
    "avif": encode(COLOR_ALPHA, "AVIF", quality=95),
}


@pytest.mark.parametrize("name", FILES)
def test_pixels_are_those_pillow_reads(name: str) -> None:
    image = decode(FILES[name])
    assert (image.dtype, image.flags.c_contiguous) == (np.uint8, True)
    assert largest_difference(image, read_with_pillow(FILES[name])) == 0


@pytest.mark.parametrize("name", FILES_WITH_ALPHA)
def test_alpha_is_composited_on_white(name: str) -> None:
    data = FILES_WITH_ALPHA[name]
    assert largest_difference(decode(data), read_with_pillow(data)) == 0


def test_every_alpha_and_value_is_rounded_to_the_nearest() -> None:
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    picture = Image.fromarray(np.dstack([value, value, value, alpha]).astype(np.uint8))
    expected = np.rint(255 - alpha * (255 - value) / 255)
    assert np.array_equal(decode(encode(picture, "PNG"))[..., 0], expected)


def test_premultiplied_alpha_of_tiff() -> None:
    rgba = np.dstack([RGB.astype(float) * ALPHA[..., None] / 255, ALPHA]).round().astype(np.uint8)
    image = decode(tiff(rgba, color_space=2, extra_samples=1))
    assert np.array_equal(image, rgba[..., :3] + (255 - ALPHA[..., None]))


def test_fourth_channel_that_tiff_does_not_call_alpha_is_dropped() -> None:
    assert np.array_equal(decode(tiff(np.dstack([RGB, ALPHA]), color_space=2, extra_samples=0)), RGB)


@pytest.mark.parametrize("masks", [b"", struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)])
def test_unused_fourth_byte_of_bmp_is_no_alpha(masks: bytes) -> None:
    """Screenshots have 0 in this byte. If it were used as alpha, the image would be white."""
    unused = np.zeros((HEIGHT, WIDTH), np.uint8)
    rows = np.dstack([RGB[..., ::-1], unused])[::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 32, 3 if masks else 0, len(rows), 0, 0, 0, 0)
    assert np.array_equal(decode(bmp(header + masks, rows)), RGB)


def test_bmp_of_os2_and_bmp_stored_from_the_top() -> None:
    assert np.array_equal(
        decode(bmp(struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, 24), RGB[::-1, :, ::-1].tobytes())), RGB
    )
    top_down = struct.pack("<IiiHHIIiiII", 40, WIDTH, -HEIGHT, 1, 24, 0, RGB.nbytes, 0, 0, 0, 0)
    assert np.array_equal(decode(bmp(top_down, RGB[..., ::-1].tobytes())), RGB)


def test_16_bits_are_divided_by_257_and_rounded() -> None:
    every_value = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    data = encode(Image.fromarray(every_value), "PNG")
    assert np.array_equal(decode(data)[..., 0], np.rint(every_value / 257))


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_16_bit_color(extension: str) -> None:
    data = cv2.imencode(extension, RGB16[..., ::-1])[1].tobytes()
    assert np.array_equal(decode(data), np.rint(RGB16 / 257))


@pytest.mark.parametrize("file_format", ["png", "tiff"])
def test_16_bit_alpha(file_format: str) -> None:
    rgba = np.dstack([RGB16, ALPHA.astype(np.uint16) * 257])
    if file_format == "png":
        data = cv2.imencode(".png", rgba[..., [2, 1, 0, 3]])[1].tobytes()
    else:
        data = tiff(rgba, color_space=2, extra_samples=2)
    expected = np.rint(255 - ALPHA[..., None] / 255 * (255 - np.rint(RGB16 / 257)))
    assert np.array_equal(decode(data), expected)


def test_16_bit_gray_png_with_a_transparent_level() -> None:
    gray = RGB16[..., 0]
    data = encode(Image.fromarray(gray), "PNG")
    key = int(gray[7, 9])
    after_header = 8 + 25
    data = data[:after_header] + png_chunk(b"tRNS", struct.pack(">H", key)) + data[after_header:]
    assert np.array_equal(decode(data)[..., 0], np.where(gray == key, 255, np.rint(gray / 257)))


@pytest.mark.parametrize("bits", [10, 12])
def test_deep_avif(bits: int) -> None:
    deep = RGB16[..., ::-1] >> (16 - bits)
    data = cv2.imencode(".avif", deep, [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 95])[1].tobytes()
    # Pillow lets libavif reduce the depth before it interpolates colour; zoo does so after it.
    assert largest_difference(decode(data), read_with_pillow(data)) <= 4


def test_deep_avif_with_alpha() -> None:
    rgba = np.dstack([RGB16[..., ::-1], ALPHA.astype(np.uint16) * 257]) >> 6
    data = cv2.imencode(".avif", rgba, [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 100])[1].tobytes()
    assert largest_difference(decode(data), read_with_pillow(data)) <= 4


@pytest.mark.parametrize("color_transform", [0, 2, None], ids=["CMYK", "YCCK", "without Adobe's mark"])
def test_cmyk_jpeg(color_transform: int | None) -> None:
    """CMYK is stored inverted, as by Adobe's applications; in YCCK, three of the channels are converted to YCbCr."""
    data = encode(COLOR.convert("CMYK"), "JPEG", quality=95, subsampling=0)
    segment = data.index(b"Adobe") - 4
    if color_transform is None:
        data = data[:segment] + data[segment + 16 :]
    else:
        data = data[: segment + 15] + bytes([color_transform]) + data[segment + 16 :]
    assert largest_difference(decode(data), read_with_pillow(data)) <= 2


@pytest.mark.parametrize("name", ["png", "jpeg", "bmp", "palette gif", "lossy webp", "tiff", "avif", "mpo"])
def test_bytes_after_the_picture_do_not_matter(name: str) -> None:
    assert np.array_equal(decode(FILES[name] + bytes(500) + b"PK\3\4 junk"), decode(FILES[name]))


def test_chunks_that_make_no_pixels_do_not_change_a_png(capfd: pytest.CaptureFixture[str]) -> None:
    after_header = 8 + 25
    data = FILES["png"]
    data = data[:after_header] + png_chunk(b"iCCP", b"broken\0\0profile") + data[after_header:]
    assert np.array_equal(decode(data), RGB)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(RGB, color_space=8), "TIFF in CIELab colour is not supported"),
        (tiff(RGB, color_space=77), "TIFF in colour space 77 is not supported"),
        (tiff(RGB16, color_space=2, sample_format=5), "TIFF with complex samples is not supported"),
        (tiff(RGB[..., :1], color_space=2), "damaged TIFF: 1 of 3 channels"),
        (
            tiff(np.full((4, 4, 1), 1e30), color_space=1, sample_format=3),
            "TIFF with floating point samples up to 1e+30 is not supported: no value is white",
        ),
        (
            FILES["tiff"].replace(b"\3\1\3\0\1\0\0\0\1\0", b"\3\1\3\0\1\0\0\0\x50\xc3"),
            "TIFF with Zstandard compression is not supported",
        ),
        (
            bmp(struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 24, 4, 9, 0, 0, 0, 0), bytes(9)),
            "BMP that wraps a JPEG is not supported",
        ),
        (FILES["jpeg"].replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c"), "JPEG of 12 bits is not supported"),
        (FILES["jpeg"].replace(b"\xff\xc0", b"\xff\xc3"), "lossless JPEG is not supported"),
    ],
)
def test_what_is_not_read_is_refused_by_name(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode(data)
    assert caught.value.reason == reason


def test_decoding_twice_gives_the_same_pixels() -> None:
    for data in FILES.values():
        assert np.array_equal(decode(data), decode(data))
