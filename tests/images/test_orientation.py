"""EXIF orientation is applied once, in every format, whether OpenCV applies it or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.pictures import COLOR, MIRRORED, RGB16, encode, largest_difference, read_with_pillow, tiff
from zoo.image_spec import ImageSpec
from zoo.images import decode, probe, read_file, resize

FORMATS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95},
    "MPO": {"save_all": True, "append_images": [MIRRORED]},
    "PNG": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "AVIF": {"quality": 95},
}


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[274] = orientation
    return tags


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", FORMATS)
def test_every_orientation_of_every_format(file_format: str, orientation: int) -> None:
    data = encode(COLOR, file_format, exif=exif(orientation), **FORMATS[file_format])
    expected = read_with_pillow(data)
    assert (expected.shape[0] > expected.shape[1]) == (orientation >= 5)
    assert largest_difference(decode(data), expected) == 0


@pytest.mark.parametrize("orientation", [0, 9, 65535])
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_invalid_orientation_counts_as_upright(file_format: str, orientation: int) -> None:
    plain = encode(COLOR, file_format, **FORMATS[file_format])
    data = encode(COLOR, file_format, exif=exif(orientation), **FORMATS[file_format])
    assert np.array_equal(decode(data), decode(plain))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_16_bit_tiff(orientation: int) -> None:
    data = tiff(RGB16, color_space=2, orientation=orientation)
    assert largest_difference(decode(data), read_with_pillow(data)) <= 1  # Pillow truncates 16 bits, zoo rounds


@pytest.mark.parametrize("garbage", [b"", b"MM", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 30])
def test_damaged_exif_leaves_the_picture_as_it_is(garbage: bytes) -> None:
    data = encode(COLOR, "JPEG", quality=95)
    body = b"Exif\0\0" + garbage
    with_garbage = data[:2] + b"\xff\xe1" + (2 + len(body)).to_bytes(2, "big") + body + data[2:]
    assert np.array_equal(decode(with_garbage), decode(data))


def test_exif_after_the_pixels_of_a_png_counts() -> None:
    data = encode(COLOR, "PNG", exif=exif(6))
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    moved = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    assert np.array_equal(decode(moved), decode(data))
    assert decode(data).shape == (64, 48, 3)


@pytest.mark.parametrize("number", [0, 2, 3, 4, 5, 6, 7, 8])
def test_photos_of_all_orientations_are_equal_after_decoding(shared_data: Path, number: int) -> None:
    folder = shared_data / "exif_orientation"
    upright, photo = (read_file(folder / f"Portrait_{n}.jpg") for n in (1, number))
    assert probe(photo).orientation == (number or 1)
    spec = ImageSpec(height_px=120, width_px=90)
    small = [resize(decode(data), spec).astype(float) for data in (upright, photo)]
    assert decode(photo).shape == decode(upright).shape
    # They differ in the digit that is printed on each; with a wrong rotation, the difference is ten times as large.
    assert np.abs(small[0] - small[1]).mean() < 6
    assert np.abs(small[0] - small[1][::-1]).mean() > 30
    assert np.abs(small[0] - small[1][:, ::-1]).mean() > 15
