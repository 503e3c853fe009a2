"""Photos on a mounted object store: S3, served by moto on this machine and mounted by rclone."""

from __future__ import annotations

import csv
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PhotoFolder, Zoo

pytestmark = [
    pytest.mark.long,
    *(
        pytest.mark.skipif(not shutil.which(program), reason=f"needs {program} ({package})")
        for program, package in (("moto_server", "of moto[server]"), ("rclone", "with fusermount"))
    ),
    pytest.mark.skipif(not os.access("/dev/fuse", os.R_OK | os.W_OK), reason="needs the right to mount with FUSE"),
    pytest.mark.skipif(sys.platform != "linux", reason="mounts with FUSE"),
]


@pytest.fixture
def store(tmp_path: Path, photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A read-only mount of a bucket that holds what is in ``local``, a folder with photos."""
    photo_folder({"train/a": 30, "train/b": 30, "test/a": 12, "test/b": 12}, "local/photos")
    mount, environment = tmp_path / "mount", {**os.environ, "RCLONE_CONFIG": "/dev/null"}
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    environment |= {
        f"RCLONE_S3_{name}": value
        for name, value in {
            "PROVIDER": "Other",
            "ACCESS_KEY_ID": "key",
            "SECRET_ACCESS_KEY": "secret",
            "ENDPOINT": f"http://127.0.0.1:{port}",
            "FORCE_PATH_STYLE": "true",
        }.items()
    }
    environment.pop("AWS_CA_BUNDLE", None)  # rclone does not start with it
    mount.mkdir()
    with subprocess.Popen(["moto_server", "-p", str(port)], stderr=subprocess.DEVNULL) as server:
        copy = ["rclone", "copy", str(tmp_path / "local"), ":s3:bucket", "--retries", "20", "--retries-sleep", "1s"]
        subprocess.run(copy, env=environment, check=True, capture_output=True)
        with subprocess.Popen(["rclone", "mount", ":s3:bucket", str(mount), "--read-only"], env=environment) as mounted:
            deadline = time.monotonic() + 60
            while not os.path.ismount(mount):
                assert mounted.poll() is None, "the mount failed"
                assert time.monotonic() < deadline, "the mount did not appear"
                time.sleep(0.1)
            yield mount
            mounted.terminate()
        server.terminate()


def test_photos_on_an_object_store_give_the_same_model_and_predictions(store: Path, zoo: Zoo, tmp_path: Path) -> None:
    for number, folder in enumerate((tmp_path / "local", store)):
        data, run = folder / "photos", f"runs/{number}"
        settings = ["--epochs", "2", "--size", "32", "--seed", "1", "--quiet"]
        assert zoo("train", "simple_cnn", "--data", data, "--name", str(number), *settings).code == 0
        assert zoo("data", "check", data / "train", "--json").code in (0, 6)
        assert zoo("predict", run, data / "test", "--out", f"{number}.csv").code == 0
    local, mounted = (tmp_path / "runs" / str(number) for number in range(2))
    for name in ("split.csv", "predictions.csv"):
        assert (local / name).read_bytes() == (mounted / name).read_bytes()
    here, there = (
        [row[1:5] for row in csv.reader((tmp_path / f"{number}.csv").read_text().splitlines())] for number in range(2)
    )
    assert here == there
    # Inodes of this mount are beyond 2^63 for half of the photos, and these are remembered too.
    assert any(path.stat().st_ino >= 2**63 for path in store.rglob("*.jpg"))
