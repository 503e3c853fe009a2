"""HEIC: what happens without its decoder, and with files that are cut off, damaged or too large."""

from __future__ import annotations

import contextlib
import random
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.pictures import COLOR, encode
from tests.images.valid import RGB
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, MissingDecoderError, decode, load_image, probe

pytest.importorskip("pillow_heif", reason="pillow-heif, which writes HEIC, is not installed")
pytest.importorskip("pi_heif", reason="pi-heif, which reads HEIC, is not installed")

from tests.images.valid import heic

PHOTO = heic.encode(RGB)
LARGE = np.asarray(Image.fromarray(RGB).resize((150, 100), Image.Resampling.BICUBIC))
GRID = heic.grid(LARGE, quarter_turns=3)


def reason(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value.reason


def test_without_its_decoder_a_photo_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    assert probe(PHOTO).format == "HEIC"
    expected = "HEIC photo; install keras-edge-zoo[heif], or convert it to JPEG"
    assert reason(PHOTO) == expected
    (tmp_path / "IMG_0001.HEIC").write_bytes(PHOTO)
    with pytest.raises(MissingDecoderError, match="IMG_0001"):
        load_image(tmp_path / "IMG_0001.HEIC", ImageSpec())


def test_the_decoder_is_loaded_for_heic_alone(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode(COLOR, "JPEG"))
    (tmp_path / "a.heic").write_bytes(PHOTO)
    program = """
import sys
from zoo.images import load_image
from zoo.image_spec import ImageSpec
for name in sys.argv[1:]:
    load_image(name, ImageSpec())
    print("pi_heif" in sys.modules)
"""
    command = [sys.executable, "-c", program, tmp_path / "a.jpg", tmp_path / "a.heic"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["False", "True"]


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("photo", [PHOTO, GRID], ids=["one picture", "grid"])
def test_cut_off_photo_is_refused(photo: bytes, kept: float) -> None:
    assert "truncated" in reason(photo[: int(len(photo) * kept)])


def test_bomb_is_refused() -> None:
    at = PHOTO.index(b"ispe") + 8
    bomb = PHOTO[:at] + struct.pack(">II", 50000, 50000) + PHOTO[at + 8 :]
    assert reason(bomb) == "declares 50000 x 50000 pixels, more than 268 Mpx"


def test_photo_that_is_larger_than_it_declares_is_refused() -> None:
    data = heic.encode(np.ascontiguousarray(np.resize(RGB, (64, 64, 3))))
    at = data.index(b"ispe") + 8
    assert "HEIC" in reason(data[:at] + struct.pack(">II", 8, 8) + data[at + 8 :])


def test_sequence_without_a_still_picture_and_other_codecs_are_named() -> None:
    head = struct.pack(">I4s4sI4s", 20, b"ftyp", b"msf1", 0, b"hevc")
    assert reason(head + struct.pack(">I4s", 8, b"moov")) == "HEIC sequence without a still picture is not supported"
    assert reason(PHOTO.replace(b"hvcC", b"jpgC")) == "HEIF with another codec than HEVC or AV1 is not supported"


def test_damaged_bytes_end_in_an_image_error_or_a_picture() -> None:
    dice = random.Random(0)
    for _ in range(150):
        data = bytearray(dice.choice([PHOTO, GRID]))
        for _ in range(dice.choice([1, 3, 20])):
            data[dice.randrange(min(len(data), dice.choice([64, 600, 10**6])))] = dice.choice(
                [0, 255, dice.randrange(256)]
            )
        with contextlib.suppress(ImageError):
            assert decode(bytes(data[: dice.randrange(1, 2 * len(data))])).shape[2] == 3
