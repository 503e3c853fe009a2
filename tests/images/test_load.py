"""Paths to anything: loading ends at once, with an image or with a reason."""

from __future__ import annotations

import ast
import errno
import os
import pickle
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import zoo.images
from tests.images.pictures import COLOR, encode
from zoo.errors import DataError
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, decode, load, load_image, read_file, resize

SPEC = ImageSpec(height_px=32, width_px=32)
JPEG = encode(COLOR, "JPEG")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(JPEG)
    return path


def reason(path: str | Path) -> str:
    """The reason why ``path`` is refused. It must be found within five seconds."""
    reasons = []

    def attempt() -> None:
        with pytest.raises(ImageError) as caught:
            load_image(path, SPEC)
        reasons.append(caught.value.reason)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout=5)
    assert not thread.is_alive(), "loading hangs"
    return reasons[0]


def test_loading_is_reading_decoding_resizing(photo: Path) -> None:
    assert np.array_equal(load_image(photo, SPEC), resize(decode(JPEG), SPEC))
    assert np.array_equal(load_image(str(photo), SPEC), load_image(photo, SPEC))
    assert read_file(photo) == JPEG


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_a_temporary_error_of_a_network_disk_is_survived(
    photo: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    pauses: list[float] = []
    open_file = os.open
    failures = [OSError(number, os.strerror(number))] * 2

    def unsteady(path: Path, flags: int) -> int:
        if failures:
            raise failures.pop()
        return open_file(path, flags)

    monkeypatch.setattr(load.os, "open", unsteady)
    monkeypatch.setattr(load.time, "sleep", pauses.append)
    assert read_file(photo) == JPEG
    assert pauses == [0.2, 1.0]
    failures = [OSError(number, "it stays")] * 9
    with pytest.raises(ImageError, match="it stays"):
        read_file(photo)
    assert len(pauses) == 5
    failures = [OSError(errno.EACCES, "denied")] * 2
    with pytest.raises(ImageError, match="no permission to read it"):
        read_file(photo)
    assert len(pauses) == 5


def test_a_lost_disk_is_not_waited_for_again_and_again(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    lost = [True]

    def gone(path: Path) -> bytes:
        if lost:
            raise OSError(errno.EIO, "the disk is gone")
        return b"read"

    monkeypatch.setattr(load.time, "sleep", pauses.append)
    monkeypatch.setattr(load, "_failed", 0)
    for _ in range(30):
        with pytest.raises(OSError, match="the disk is gone"):
            load.patiently(gone, photo)
    assert len(pauses) == 3 * 16
    lost.clear()
    assert load.patiently(gone, photo) == b"read"
    lost.append(True)
    with pytest.raises(OSError, match="the disk is gone"):
        load.patiently(gone, photo)
    assert len(pauses) == 3 * 17


def test_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason(tmp_path / "pipe.jpg") == "named pipe"


def test_link_to_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.jpg").symlink_to("pipe")
    assert reason(tmp_path / "link.jpg") == "named pipe"


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        assert reason("socket.jpg") == "socket"
    assert reason("/dev/zero") == "device"
    assert reason(tmp_path) == "folder"
    assert reason(tmp_path / "missing.jpg") == "no such file"
    assert reason("nul\0l.jpg") == "file name with a null byte"
    assert reason("n" * 300) == "file name too long"


def test_links(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "good").symlink_to(photo)
    (tmp_path / "broken").symlink_to("nowhere.jpg")
    (tmp_path / "loop").symlink_to("loop")
    assert load_image(tmp_path / "good", SPEC).shape == (32, 32, 3)
    assert reason(tmp_path / "broken") == "broken symbolic link"
    assert reason(tmp_path / "loop") == "symbolic link to itself"


def test_file_without_permission(photo: Path) -> None:
    photo.chmod(0)
    if os.access(photo, os.R_OK):
        pytest.skip("this user may read every file")
    assert reason(photo) == "no permission to read it"


def test_sizes(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.jpg").touch()
    assert reason(tmp_path / "empty.jpg") == "empty file"
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(3 * 2**30)
    assert reason(tmp_path / "sparse.jpg") == "file of 3.0 GiB, more than 1 GiB"
    monkeypatch.setattr(load, "MAX_FILE_BYTES", len(JPEG))
    assert read_file(photo) == JPEG


def test_large_file_that_is_no_picture_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "holiday.mp4").open("wb") as file:
        file.truncate(2**29)
    assert reason(tmp_path / "holiday.mp4") == "not an image: zero bytes"


@pytest.mark.parametrize(
    "name", [b"\xff\xfe caf\xe9.jpg", b"tab\tnew\nline,comma.jpg", "фото.jpg".encode(), b"-rf.jpg"]
)
def test_any_name_loads_and_can_be_printed(name: bytes, tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)  # noqa: PTH118
    Path(os.fsdecode(path)).write_bytes(JPEG)
    assert load_image(os.fsdecode(path), SPEC).shape == (32, 32, 3)
    Path(os.fsdecode(path)).write_bytes(JPEG[:-9])
    with pytest.raises(ImageError) as caught:
        load_image(os.fsdecode(path), SPEC)
    assert str(caught.value).encode().count(b"\n") == 0


def test_error_names_the_file_and_survives_the_way_from_a_worker(tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_text("<html>")
    with pytest.raises(DataError) as caught:
        load_image(path, SPEC)
    arrived = pickle.loads(pickle.dumps(caught.value))
    for error in (caught.value, arrived):
        assert str(error) == f"Cannot read '{path}': not an image: HTML text."
        assert (error.reason, error.path) == ("not an image: HTML text", path)


def test_many_threads_at_once(shared_data: Path) -> None:
    photos = sorted((shared_data / "rugby_soccer" / "test" / "rugby").iterdir())[:12]
    alone = [load_image(photo, ImageSpec()) for photo in photos]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda photo: load_image(photo, ImageSpec()), photos * 3))
    for expected, image in zip(alone * 3, together, strict=True):
        assert np.array_equal(image, expected)


def test_device_needs_numpy_and_opencv_only() -> None:
    """``pi_heif`` is imported only for a HEIC photo, because it is not a requirement of a bundle."""
    for source in Path(zoo.images.__file__).parent.rglob("*.py"):
        optional = {"pi_heif"} if source.name == "heif.py" else set()
        allowed = {*sys.stdlib_module_names, "numpy", "cv2", "zoo"} | optional
        for node in ast.walk(ast.parse(source.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                assert name.split(".")[0] in allowed, f"{source}: {name}"
                ours = ("zoo.errors", "zoo.image_spec", "zoo.images", "zoo.quiet", "zoo.terminal")
                assert not name.startswith("zoo.") or name.startswith(ours), f"{source}: {name}"


def test_log_level_that_the_user_sets_is_kept(tmp_path: Path) -> None:
    damaged = bytearray(encode(COLOR, "TIFF", compression="tiff_lzw"))
    damaged[20:60] = b"\xff" * 40
    (tmp_path / "damaged.tif").write_bytes(damaged)
    program = """
import sys
from zoo.images import ImageError, load_image
from zoo.image_spec import ImageSpec
try:
    load_image(sys.argv[1], ImageSpec())
except ImageError:
    print("refused")
"""
    for level, speaks in (("WARNING", True), (None, False)):
        environment = {key: value for key, value in os.environ.items() if key != "OPENCV_LOG_LEVEL"}
        environment |= {"OPENCV_LOG_LEVEL": level} if level else {}
        command = [sys.executable, "-c", program, tmp_path / "damaged.tif"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert (done.stdout, bool(done.stderr)) == ("refused\n", speaks)
