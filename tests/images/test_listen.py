"""Warnings of decoders, with the file that each is about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import PhotoFolder

#: As a command does it: guards its terminal, reads photos in threads, and tells what is worth saying.
READ = """
import sys
from zoo.data import load_data
from zoo.image_spec import ImageSpec
from zoo.terminal import guard_terminal

guard_terminal()
data = load_data(sys.argv[1], ImageSpec(height_px=16, width_px=16))
print(*data.notes, sep="\\n")
print(f"{len(data.names)} read", file=sys.stderr)
"""


def damage(path: Path) -> None:
    """Puts bytes between the last restart interval and the end mark: libjpeg warns and decodes."""
    content = path.read_bytes()
    assert content.endswith(b"\xff\xd9")
    path.write_bytes(content[:-2] + b"\x12\x34\x56" * 40 + b"\xff\xd9")


@pytest.mark.usefixtures("own_cache")
def test_a_decoder_warning_names_its_file_and_no_other(photo_folder: PhotoFolder) -> None:
    photos = photo_folder({"a": 24, "b": 24})
    damage(photos / "b" / "photo_003.jpg")
    command = [sys.executable, "-c", READ, str(photos)]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stderr == "48 read\n"
    (note,) = [line for line in first.stdout.splitlines() if "decoder" in line]
    assert note.startswith("1 file(s) used, such as 'b/photo_003.jpg': the decoder warns: Corrupt JPEG data")
    again = subprocess.run(command, capture_output=True, text=True, check=True)  # from the cache
    assert (again.stdout, again.stderr) == (first.stdout, first.stderr)


def test_libjpeg_warns_of_this_damage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(cv2.imencode(".jpg", np.full((32, 32, 3), 90, np.uint8))[1].tobytes())
    damage(path)
    assert cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) is not None
    assert "Corrupt JPEG data" in capfd.readouterr().err
