"""After a kill at any point, the same command completes the download: all files are complete, none is fetched twice."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import RunZoo, zoo_command, zoo_environment
from tests.fetch.conftest import UrlList, images_in, picture, serve_pictures
from tests.fetch.server import Served, serving
from zoo.atomic import read_csv
from zoo.errors import DataError
from zoo.fetch.addresses import Access
from zoo.fetch.download import Downloader
from zoo.fetch.errors import RefusedError
from zoo.fetch.names import Names
from zoo.fetch.patience import Patience
from zoo.fetch.transfer import Remote
from zoo.fetch.url_list import read_url_list
from zoo.locks import locked

COUNT = 300


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_every_file_whole_and_none_fetched_twice(
    number: signal.Signals, url_list: UrlList, tmp_path: Path, site: Path
) -> None:
    with serving(latency_s=0.05) as server:
        rows = serve_pictures(server, COUNT)
        for served in server.files.values():
            served.body += bytes(100_000 - len(served.body))
        server.files["/page"] = Served(b"<html>no image</html>")
        path = url_list([*rows, (f"{server.url}/page", "ball")])
        command = zoo_command(
            "data", "fetch", "urls", path, "--out", tmp_path / "photos", "--allow-private", "--jobs", "8"
        )
        codes = []
        kills = 5 if number == signal.SIGKILL else 2
        for attempt in range(kills):
            # A test that runs in the background ignores Ctrl-C, and so would the processes that it starts.
            listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
            process = subprocess.Popen(command, env=zoo_environment(site), stderr=subprocess.PIPE, preexec_fn=listen)
            target = 40 * (attempt + 1)
            while process.poll() is None and len(server.answers) < target:
                time.sleep(0.005)
            time.sleep(random.uniform(0, 0.05))
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            codes.append(process.returncode)
            for image in images_in(tmp_path / "photos"):
                assert image.stat().st_size == 100_000
            if number != signal.SIGKILL:
                assert b"un the same command to continue" in said
        expected = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
        assert codes == [expected] * kills
        done = subprocess.run(command, env=zoo_environment(site), capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        images = images_in(tmp_path / "photos")
        assert sorted(image.read_bytes() for image in images) == sorted(
            served.body for name, served in server.files.items() if name != "/page"
        )
        assert {name: count for name, count in server.arrived().items() if count > 1} == {}
        credits = read_csv(tmp_path / "photos" / "attribution.csv")
        assert {row["path"] for row in credits} == {f"ball/{image.name}" for image in images}
        assert not (tmp_path / "photos" / ".zoo-fetch").exists()


def test_complete_files_are_not_downloaded_again_after_a_kill(
    run_zoo: RunZoo, url_list: UrlList, tmp_path: Path
) -> None:
    """The worst moment: all bytes have arrived and none of the files was checked, or only half of them."""

    with serving() as server:
        rows = serve_pictures(server, 2)
        server.files["/ball/1.jpg"] = Served(picture(1, ".png", (900, 900)), cut_at=5000)
        state = tmp_path / "photos" / ".zoo-fetch"
        state.mkdir(parents=True)
        path = url_list(rows)
        first = read_url_list(path, Names([])).wanted[0]
        remote = Remote(url=first.url, key=first.key, max_bytes=10**6)
        Downloader(Access(allow_private=True)).transfer.fetch(remote, state)
        done = run_zoo("data", "fetch", "urls", path, "--out", "photos", "--allow-private")
        assert done.code == 0, done.err
        assert len(server.asked("/ball/0.jpg")) == 1
        assert [answer.range for answer in server.asked("/ball/1.jpg")] == [None, "bytes=5000-"]
        assert len(images_in(tmp_path / "photos")) == 2


def test_a_part_of_another_version_is_not_resumed(tmp_path: Path) -> None:

    with serving() as server:
        old, new = bytes(1000) + picture(1, ".png", (300, 300)), bytes(2000) + picture(2, ".png", (300, 300))
        server.files["/x"] = Served(old, cut_at=500, cut_times=99)
        remote = Remote(url=f"{server.url}/x", key="ab", max_bytes=10**8)
        downloader = Downloader(Access(allow_private=True))
        part = tmp_path / "ab.99999.0123456789.part"
        part.write_bytes(b"something else")
        server.files["/x"] = Served(new)
        assert downloader.transfer.fetch(remote, tmp_path).read_bytes() == new
        assert [answer.range for answer in server.answers] == ["bytes=14-", None]


def test_a_passing_error_does_not_cost_what_came_before(tmp_path: Path) -> None:
    whole = picture(1, ".png", (900, 900)) + bytes(100_000)
    with serving() as server:
        remote = Remote(url=f"{server.url}/x", key="ab", max_bytes=10**8)
        downloader = Downloader(Access(allow_private=True), patience=Patience(tries=1))
        server.files["/x"] = Served(whole, cut_at=50_000)
        with pytest.raises(RefusedError, match="ended after 50000 of"):
            downloader.transfer.fetch(remote, tmp_path)
        server.files["/x"] = Served(whole, 503)
        with pytest.raises(RefusedError, match="HTTP 503"):
            downloader.transfer.fetch(remote, tmp_path)
        server.files["/x"] = Served(whole)
        assert downloader.transfer.fetch(remote, tmp_path).read_bytes() == whole
        assert [answer.range for answer in server.answers] == [None, "bytes=50000-", "bytes=50000-"]


def test_two_commands_do_not_fill_one_folder(run_zoo: RunZoo, url_list: UrlList, tmp_path: Path, site: Path) -> None:
    with serving(latency_s=2.0) as server:
        path = url_list(serve_pictures(server, 2))
        command = ("data", "fetch", "urls", path, "--out", tmp_path / "photos", "--allow-private")
        process = subprocess.Popen(zoo_command(*command), env=zoo_environment(site), stdout=subprocess.DEVNULL)
        while not (tmp_path / "photos" / ".zoo-fetch" / "lock").exists():
            time.sleep(0.01)
        second = run_zoo(*command)
        assert second.code == 4
        assert "Another command is writing to" in second.err
        assert process.wait(60) == 0


def test_a_folder_that_cannot_be_locked_is_not_blamed_on_another_command(
    run_zoo: RunZoo, url_list: UrlList, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos" / ".zoo-fetch" / "lock").mkdir(parents=True)
    done = run_zoo("data", "fetch", "urls", url_list([("http://photos.example/x", "ball")]), "--out", "photos")
    assert done.code == 4
    assert "Could not write in" in done.err
    assert "Is a directory" in done.err
    assert "Another command" not in done.err

    # Only the network disk without a lock service is replaced.
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(DataError, match=r"Could not write in .*: No locks available"), locked(tmp_path / "lock"):
        pass


def test_a_full_disk_is_said_and_leaves_whole_files(url_list: UrlList, tmp_path: Path, site: Path) -> None:
    disk = Path(os.environ.get("ZOO_TEST_SMALL_DISK") or tmp_path / "disk")
    disk.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("may not mount a small disk")
    try:
        with serving() as server:
            rows = serve_pictures(server, 40)
            for served in server.files.values():
                served.body += bytes(100_000 - len(served.body))
            command = zoo_command("data", "fetch", "urls", url_list(rows), "--out", disk / "photos", "--allow-private")
            done = subprocess.run(command, env=zoo_environment(site), capture_output=True, check=False, timeout=60)
            assert done.returncode == 4
            assert b"is full" in done.stderr
            assert b"un the same command to continue" in done.stderr
            assert 0 < len(images_in(disk / "photos")) < 40
            assert all(image.stat().st_size == 100_000 for image in images_in(disk / "photos"))
    finally:
        subprocess.run(["umount", disk], check=True)
