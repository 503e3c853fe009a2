"""Unusable files are refused with a reason, quickly, without using much memory and without ending the process."""

from __future__ import annotations

import contextlib
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.images.pictures import COLOR, PALETTE, RGB, encode, png_that_declares, tiff
from tests.images.test_decode import FILES, FILES_WITH_ALPHA
from zoo.images import MAX_PIXELS, ImageError, decode, probe


def reason(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value.reason


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "not an image: HTML text"),
        (b'\xef\xbb\xbf\n<?xml version="1.0"?><svg/>', "not an image: SVG or XML text"),
        ("Jürgen".encode() * 100, "not an image: text"),
        (b"BM is how this text begins, and a bitmap as well", "not an image: text"),
        (b"%PDF-1.7", "not an image: PDF"),
        (b"PK\3\4rest", "not an image: ZIP archive"),
        (bytes(4000), "not an image: zero bytes"),
        (b"\xfe\xed\xfa\xce" * 20, "not an image: unknown content"),
        (struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"mp42"), "not an image: MP4 or QuickTime video"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "JPEG XL is not supported"),
        (b"\xff\x0a" + bytes(20), "JPEG XL is not supported"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(20), "camera RAW is not supported"),
        (b"FUJIFILMCCD-RAW 0201" + bytes(20), "camera RAW is not supported"),
        (struct.pack(">I4s4sI4s", 20, b"ftyp", b"crx ", 0, b"isom"), "camera RAW is not supported"),
        (tiff(RGB, color_space=32803), "camera RAW is not supported"),
        (b"II*\0" + bytes(3), "truncated TIFF"),
    ],
)
def test_other_files_are_named_for_what_they_are(data: bytes, expected: str) -> None:
    assert reason(data) == expected


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("AVIF", {}),
    ],
)
def test_cut_off_picture_is_refused(file_format: str, options: dict[str, object], kept: float) -> None:
    data = encode(COLOR.resize((400, 300)), file_format, **options)
    assert "truncated" in reason(data[: int(len(data) * kept)])


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_picture_whose_second_half_never_arrived_is_truncated(file_format: str) -> None:
    """An interrupted download to a file of the final size leaves zeros at the end."""
    data = encode(COLOR, file_format)
    half = len(data) // 2
    assert reason(data[:half] + bytes(len(data) - half)) == f"truncated {file_format}"


def test_png_without_its_last_chunk_is_refused() -> None:
    assert reason(encode(COLOR, "PNG")[:-12]) == "truncated PNG"


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 3}])
@pytest.mark.parametrize("lost", [1, 2])
def test_jpeg_that_lacks_its_end_mark_alone_is_used(lost: int, options: dict[str, object]) -> None:
    data = encode(COLOR, "JPEG", **options)
    assert np.array_equal(decode(data[:-lost]), decode(data))
    assert (probe(data[:-lost]).has_end, probe(data).has_end) == (False, True)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 3}])
def test_jpeg_that_lacks_more_is_refused(options: dict[str, object]) -> None:
    """A file is cut off at every byte: it is used only if no byte of the image is missing."""
    data = encode(COLOR, "JPEG", **options)
    whole = decode(data)
    used = []
    for end in range(len(data) // 2, len(data) - 2):
        with contextlib.suppress(ImageError):
            used.append((len(data) - end, np.array_equal(decode(data[:end]), whole)))
    # The last one or two bytes before the end marker may contain only padding bits.
    assert all(lost <= 4 and same for lost, same in used), used


def test_jpeg_whose_last_scans_never_arrived_is_refused() -> None:
    """If the file is cut between two scans, the rest is a complete, blurred image."""
    data = encode(COLOR, "JPEG", progressive=True)
    last_scan = data.rindex(b"\xff\xda")
    assert reason(data[:last_scan]) == "truncated JPEG"


def test_second_picture_of_a_pair_may_be_cut_off() -> None:
    pair = FILES["mpo"]
    assert decode(pair[: len(pair) - 300]).shape == (48, 64, 3)


def test_png_with_fewer_rows_than_declared() -> None:
    assert decode(png_that_declares(100, 100, rows=100)).shape == (100, 100, 3)
    assert reason(png_that_declares(100, 100, rows=99)) == "damaged, truncated or unusual PNG"


def test_size_limit() -> None:
    assert MAX_PIXELS == 2**28
    assert probe(png_that_declares(2**14, 2**14, rows=1)).width_px == 2**14
    assert reason(png_that_declares(2**14, 2**14 + 1, rows=1)) == "declares 16384 x 16385 pixels, more than 268 Mpx"
    assert reason(png_that_declares(0, 10, rows=1)) == "damaged PNG: declares no size"


def declare(data: bytes, at: int, field: str, *sides: int) -> bytes:
    return data[:at] + struct.pack(field, *sides) + data[at + struct.calcsize(field) :]


JPEG, AVIF, TIFF = encode(COLOR, "JPEG"), encode(COLOR, "AVIF"), tiff(RGB, color_space=2)
TIFF_WIDTH = TIFF.index(struct.pack("<HHI", 256, 4, 1)) + 8


@pytest.mark.parametrize(
    "bomb",
    [
        declare(JPEG, JPEG.index(b"\xff\xc0") + 5, ">HH", 50000, 50000),
        declare(encode(COLOR, "BMP"), 18, "<ii", 50000, -50000),
        declare(encode(PALETTE, "GIF"), 6, "<HH", 50000, 50000),
        declare(encode(COLOR, "WEBP", lossless=True, exif=b"x"), 24, "<HBHB", 49999, 0, 49999, 0),
        declare(AVIF, AVIF.index(b"ispe") + 8, ">II", 50000, 50000),
        declare(declare(TIFF, TIFF_WIDTH, "<I", 50000), TIFF_WIDTH + 12, "<I", 50000),
    ],
    ids=["JPEG", "BMP", "GIF", "WebP", "AVIF", "TIFF"],
)
def test_bombs_of_every_format(bomb: bytes) -> None:
    assert reason(bomb) == "declares 50000 x 50000 pixels, more than 268 Mpx"


def test_bomb_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(png_that_declares(50000, 50000, rows=10))
    program = """
import resource, sys
from zoo.images import ImageError, load_image
from zoo.image_spec import ImageSpec
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load_image(sys.argv[1], ImageSpec())
except ImageError as error:
    print(error.reason, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, sep="|")
"""
    done = subprocess.run([sys.executable, "-c", program, bomb], capture_output=True, text=True, check=True)
    why, grown_kib = done.stdout.split("|")
    assert why.startswith("declares 50000 x 50000 pixels")
    assert int(grown_kib) < 20_000


@pytest.mark.parametrize("name", [*FILES, *FILES_WITH_ALPHA])
def test_damaged_bytes_end_in_an_image_error_or_a_picture(name: str) -> None:
    whole = {**FILES, **FILES_WITH_ALPHA}[name]
    dice = random.Random(name)
    for _ in range(40):
        data = bytearray(whole)
        for _ in range(dice.choice([1, 3, 20])):
            data[dice.randrange(min(len(data), dice.choice([64, 10**6])))] = dice.choice([0, 255, dice.randrange(256)])
        with contextlib.suppress(ImageError):
            assert decode(bytes(data[: dice.randrange(1, 2 * len(data))])).shape[2] == 3


def test_opencv_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    for file_format in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "AVIF"):
        data = encode(COLOR, file_format)
        reason(data[: len(data) * 2 // 3])
    assert capfd.readouterr() == ("", "")
