"""Images that are rotated by EXIF: viewers rotate them, and their stored pixels are not changed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fetch.conftest import picture
from zoo.fetch.orient import turned
from zoo.images import decode, probe

QUARTERS = {90: 1, 180: 2, 270: 3}


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_it_is_seen_turned_counter_clockwise(degrees: int, suffix: str) -> None:
    data = picture(5, suffix)
    np.testing.assert_array_equal(decode(turned(data, degrees)), np.rot90(decode(data), QUARTERS[degrees]))


def test_a_jpeg_keeps_its_compressed_pixels() -> None:
    data = picture(5)
    scan = data[data.index(b"\xff\xda") :]
    assert turned(data, 90).endswith(scan)
    assert len(turned(data, 90)) == len(data) + 36


@pytest.mark.parametrize("stored", range(1, 9))
def test_an_orientation_that_is_there_is_replaced(shared_data: Path, stored: int) -> None:
    data = (shared_data / "exif_orientation" / f"Portrait_{stored}.jpg").read_bytes()
    raw = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    result = turned(data, 270)
    assert probe(result).orientation == 6
    np.testing.assert_array_equal(decode(result), np.rot90(raw, 3))


def test_no_turn_changes_nothing() -> None:
    data = picture(5)
    assert turned(data, 0) is data
