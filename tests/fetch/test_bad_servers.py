"""Servers that disconnect, ask to wait, send without end, or do not exist: when zoo retries, and when it gives up."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.conftest import RunZoo
from tests.fetch.conftest import UrlList, images_in, picture, serve_pictures
from tests.fetch.server import LoopbackServer, Served
from zoo.atomic import read_csv
from zoo.fetch.addresses import Access
from zoo.fetch.download import Downloader, Wanted
from zoo.fetch.errors import RefusedError
from zoo.fetch.folder import ImageFolder
from zoo.fetch.patience import Patience
from zoo.fetch.transfer import Remote
from zoo.images import decode


def test_passing_trouble_is_waited_for_and_a_broken_transfer_goes_on(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    large = picture(7, ".png", (800, 800)) + bytes(200_000)
    too_long = {"Content-Length": str(len(picture(4)) + 9), "Connection": "close"}
    trouble = {
        "/cut": Served(large, cut_at=120_000),
        "/cut-no-range": Served(large, cut_at=120_000, ranges=False),
        "/cut-no-etag": Served(large, cut_at=120_000, etag=False),
        "/busy": Served(large, 429, {"Retry-After": "1"}, fail_first=2),
        "/broken": Served(large, 503, fail_first=2),
        "/slow": Served(picture(3, size=(600, 600)), pause_s=0.05),
        "/long": Served(picture(4), headers=too_long, fail_first=1),
    }
    server.files |= trouble
    rows = [(server.url + path, "ball") for path in trouble]
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private")
    assert done.code == 0, done.err + done.out
    assert len(images_in(tmp_path / "photos")) == len(trouble)
    assert [answer.range for answer in server.asked("/cut")] == [None, "bytes=120000-"]
    assert [answer.status for answer in server.asked("/cut-no-range")] == [200, 200]
    assert [answer.range for answer in server.asked("/cut-no-etag")] == [None, None]
    assert [answer.status for answer in server.asked("/busy")] == [429, 429, 200]
    for path in images_in(tmp_path / "photos"):
        decode(path.read_bytes())


def test_a_chunked_response_that_breaks_off_is_incomplete(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    """The image could be decoded without its last bytes, so only the transfer shows that they are missing."""
    photo = picture(7) + bytes(60_000)
    server.files["/whole"] = Served(photo, chunked=True)
    server.files["/in-a-chunk"] = Served(photo, chunked=True, cut_at=45_500)
    server.files["/between-chunks"] = Served(photo, chunked=True, cut_at=45 * 1007)
    server.files["/never"] = Served(photo, chunked=True, cut_at=45_500, cut_times=99)
    rows = [(server.url + path, "ball") for path in server.files]
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private")
    assert done.code == 4
    photos = tmp_path / "photos"
    assert {path.read_bytes() for path in images_in(photos)} == {photo}
    failed = read_csv(photos / "failed.csv")
    assert [row["url"] for row in failed] == [f"{server.url}/never"]
    assert "ended after" in failed[0]["reason"]
    assert "(tried 5 times)" in failed[0]["reason"]
    assert [len(server.asked(path)) for path in server.files] == [1, 2, 2, 5]


def test_an_unwanted_response_is_not_read_without_end(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    end = {"Location": "/photo"}
    server.files["/gone"] = Served(bytes(2**16), 404, endless_s=25)
    server.files["/moved"] = Served(bytes(2**16), 302, end, endless_s=25)
    server.files["/slow"] = Served(bytes(16_000), 302, end, pause_s=5)  # 20 s for 16 kB
    server.files["/photo"] = Served(picture(1))
    rows = [(server.url + path, "ball") for path in ("/gone", "/moved", "/slow")]
    begin = time.monotonic()
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private")
    assert time.monotonic() - begin < 18
    assert done.code == 0, done.err
    assert len(images_in(tmp_path / "photos")) == 2
    assert [row["reason"] for row in read_csv(tmp_path / "photos" / "failed.csv")] == ["HTTP 404 Not Found"]


@pytest.mark.parametrize("proxied", [False, True])
@pytest.mark.parametrize(
    "slow",
    [
        pytest.param(Served(b"x" * 99, drip_s=0.05), id="status and headers"),
        pytest.param(
            Served(drip_s=0.001, trickle=b"HTTP/1.1 100 Continue\r\n\r\n", headless=True), id="continue without end"
        ),
        pytest.param(Served(chunked=True, drip_s=0.05, trickle=b"1;"), id="the length of a chunk"),
        pytest.param(Served(chunked=True, drip_s=0.001, trickle=b"0\r\n" + b"a: b\r\n" * 9999), id="trailers"),
    ],
)
def test_a_server_that_sends_byte_after_byte_is_given_up(
    slow: Served, proxied: bool, server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte arrives long before the timeout of the socket, and the response never ends."""
    url = f"{server.url}/slow"
    if proxied:
        url = "http://photos.test/slow"
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("no_proxy", "")
    server.files["/slow"] = server.files[url] = slow
    patience = Patience(answer_s=0.5, tries=1)
    downloader = Downloader(Access(allow_private=True), patience=patience)
    begin = time.monotonic()
    with pytest.raises(RefusedError, match=r"timed out|no more data"):
        downloader.transfer.fetch(Remote(url=url, key="ab", max_bytes=10**6), tmp_path)
    assert 0.4 < time.monotonic() - begin < 5


@pytest.mark.parametrize("wait", ["0", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_server_that_requests_no_pause_gets_one(server: LoopbackServer, tmp_path: Path, wait: str) -> None:
    server.files["/x"] = Served(b"", 503, {"Retry-After": wait})
    downloader = Downloader(Access(allow_private=True), patience=Patience(backoff_s=0.2))
    begin = time.monotonic()
    with pytest.raises(RefusedError, match=r"HTTP 503 .*tried 5 times"):
        downloader.transfer.fetch(Remote(url=f"{server.url}/x", key="ab", max_bytes=10**6), tmp_path)
    # Waits are random: up to 0.2, 0.4, 0.8 and 1.6 s.
    assert time.monotonic() - begin > 0.1
    assert len(server.answers) == 5


def test_what_never_ends_well_ends(run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path) -> None:
    server.files["/always"] = Served(picture(1), 503)
    server.files["/later"] = Served(picture(1), 429, {"Retry-After": "86400"})
    rows = [(server.url + "/always", "ball"), (server.url + "/later", "ball"), *serve_pictures(server, 2)]
    command = ("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private")
    done = run_zoo(*command)
    assert done.code == 4
    assert "2 downloads failed because of the network or a server" in done.err
    failed = {row["url"].rpartition("/")[2]: row["reason"] for row in read_csv(tmp_path / "photos" / "failed.csv")}
    assert "HTTP 503 Service Unavailable (tried 5 times)" in failed["always"]
    assert "requests a wait of more than 120 s" in failed["later"]
    assert len(images_in(tmp_path / "photos")) == 2
    server.files["/always"] = server.files["/later"] = Served(picture(1))
    assert run_zoo(*command).code == 0
    assert len(images_in(tmp_path / "photos")) == 4
    assert not (tmp_path / "photos" / "failed.csv").exists()


def test_a_host_that_nobody_reaches_is_given_up(server: LoopbackServer, tmp_path: Path) -> None:
    dead = [Wanted(url=f"http://127.0.0.1:9/{number}.jpg", folder="ball", stem=f"{number}") for number in range(400)]
    # Failures are counted per host, so the working server has another host name.
    urls = [url.replace("127.0.0.1", "localhost") for url, _ in serve_pictures(server, 5)]
    alive = [Wanted(url=url, folder="ball", stem=f"b{number}") for number, url in enumerate(urls)]
    folder = ImageFolder(tmp_path / "photos")
    patience = Patience(backoff_s=0.1, unreached_s=1.0)
    begin = time.monotonic()
    with folder.filling():
        done = Downloader(Access(allow_private=True), jobs=8, patience=patience).run([*dead, *alive], folder)
    assert time.monotonic() - begin < 20
    assert len(done.kept) == 5
    assert len(done.failures) == 400
    assert all(failure.temporary for failure in done.failures)
    given_up = [
        failure for failure in done.failures if "127.0.0.1 was excluded after repeated failures" in failure.reason
    ]
    assert len(given_up) > 300
    assert "no connection to 127.0.0.1: Connection refused" in done.failures[0].reason
