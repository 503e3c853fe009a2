"""``zoo data fetch urls``: what comes of a list, whatever the servers do."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from tests.conftest import RunZoo
from tests.fetch.conftest import UrlList, images_in, picture, serve_pictures
from tests.fetch.server import LoopbackServer, Served
from zoo.fetch.addresses import Access
from zoo.fetch.download import Downloader, Wanted
from zoo.fetch.folder import ImageFolder
from zoo.fetch.patience import Patience
from zoo.images import decode
from zoo.runs.atomic import read_csv


def test_a_list_becomes_class_folders_that_zoo_reads(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    rows = serve_pictures(server, 30, "rugby") + serve_pictures(server, 20, "soccer")
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private")
    assert done.code == 0, done.err
    assert "50 images (rugby 30, soccer 20); 50 new" in done.out
    photos = tmp_path / "photos"
    names = {path.name for path in photos.iterdir()}
    assert names == {"rugby", "soccer", "attribution.csv", "dataset.md"}
    expected = {server.files[f"/rugby/{number}.jpg"].body for number in range(30)}
    assert {path.read_bytes() for path in images_in(photos) if path.parent.name == "rugby"} == expected
    credits = read_csv(photos / "attribution.csv")
    assert {(row["url"], row["label"]) for row in credits} == set(rows)
    assert all((photos / row["path"]).is_file() for row in credits)
    card = (photos / "dataset.md").read_text()
    assert "| rugby | 30 |" in card
    assert "zoo data fetch urls" in card or "fetch urls" in card
    from zoo.data.source import list_source

    assert len(list_source(photos).entries) == 50


def test_the_same_command_again_asks_for_nothing(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    command = ("data", "fetch", "urls", url_list(serve_pictures(server, 5)), "--out", "photos", "--allow-private")
    assert run_zoo(*command).code == 0
    own = tmp_path / "photos" / "ball" / "mine.txt"
    own.write_text("mine")
    before = len(server.answers)
    again = run_zoo(*command)
    assert again.code == 0
    assert "0 new" in again.out
    assert len(server.answers) == before
    (tmp_path / "photos" / "ball").joinpath(images_in(tmp_path / "photos")[0].name).unlink()
    assert "1 new" in run_zoo(*command).out
    assert len(server.answers) == before + 1
    assert own.read_text() == "mine"


def test_what_goes_wrong_is_counted_and_listed_with_its_reason(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    whole = picture(1)
    bad = {
        "/gone.jpg": (Served(b"", 404), "HTTP 404 Not Found"),
        "/page.jpg": (Served(b"<!DOCTYPE html><html>Sorry</html>"), "not an image: HTML text"),
        "/empty.jpg": (Served(b""), "empty file"),
        "/short.jpg": (Served(whole[: len(whole) // 2]), "truncated JPEG"),
        "/circle": (Served(status=302, headers={"Location": "/circle"}), "redirects in a circle"),
        "/far": (Served(status=302, headers={"Location": "/far2"}), "redirects in a circle"),
        "/far2": (Served(status=302, headers={"Location": "/far"}), "redirects in a circle"),
        "/ftp": (Served(status=302, headers={"Location": "ftp://host/x"}), "'ftp' is neither http nor https"),
        "/sum.jpg": (Served(whole), "wrong checksum, twice"),
        "/bomb.jpg": (Served(b"\x1f\x8b" + bytes(1000), headers={"Content-Encoding": "gzip"}), "sent as gzip"),
        "/large.jpg": (Served(bytes(300_000)), "larger than 0.2 MB"),
        "/endless.jpg": (
            Served(bytes(300_000), headers={"Content-Length": "", "Connection": "close"}),
            "larger than 0.2 MB",
        ),
        "/pixels.png": (Served(_png_of(60_000, 60_000)), "declares 60000 x 60000 pixels"),
        "/lies.jpg": (Served(whole, headers={"Content-Length": "50"}), "truncated JPEG"),
    }
    for path, (served, _) in bad.items():
        server.files[path] = served
    for number in range(8):
        server.files[f"/hop{number}"] = Served(status=302, headers={"Location": f"/hop{number + 1}"})
    reasons = {f"{server.url}{path}": reason for path, (_, reason) in bad.items()}
    reasons[f"{server.url}/hop0"] = "more than 5 redirects"
    reasons |= {"file:///etc/passwd": "neither http nor https", "http://u:p@host/x": "password", "hello": "not a URL"}
    rows = [(url, "ball", "00" * 16 if url.endswith("sum.jpg") else "") for url in reasons]
    good = [(*row, "") for row in serve_pictures(server, 3)]
    path = url_list([*rows, *good], ("url", "label", "md5"))
    done = run_zoo("data", "fetch", "urls", path, "--out", "photos", "--allow-private", "--max-mb", "0.2")
    assert done.code == 0, done.err + done.out
    photos = tmp_path / "photos"
    failed = {row["url"]: row["reason"] for row in read_csv(photos / "failed.csv")}
    assert {url: reason for url, reason in reasons.items() if reason not in failed[url]} == {}
    assert failed.keys() == reasons.keys()
    assert len(images_in(photos)) == 3
    assert f"{len(reasons)} did not come" in done.out
    assert "truncated JPEG" in done.out
    assert not (photos / ".zoo-fetch").exists()
    assert len(server.asked("/sum.jpg")) == 2
    assert len(server.asked("/gone.jpg")) == 1


def _png_of(width_px: int, height_px: int) -> bytes:
    """A small PNG that declares a large picture."""
    png = bytearray(cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes())
    png[16:24] = width_px.to_bytes(4, "big") + height_px.to_bytes(4, "big")
    return bytes(png)


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


def test_what_never_ends_well_ends(run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path) -> None:
    server.files["/always"] = Served(picture(1), 503)
    server.files["/later"] = Served(picture(1), 429, {"Retry-After": "86400"})
    rows = [(server.url + "/always", "ball"), (server.url + "/later", "ball"), *serve_pictures(server, 2)]
    command = ("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private")
    done = run_zoo(*command)
    assert done.code == 4
    assert "2 images did not come for the network or a server" in done.err
    failed = {row["url"].rpartition("/")[2]: row["reason"] for row in read_csv(tmp_path / "photos" / "failed.csv")}
    assert "HTTP 503 Service Unavailable (tried 5 times)" in failed["always"]
    assert "asks to wait longer than 120 s" in failed["later"]
    assert len(images_in(tmp_path / "photos")) == 2
    server.files["/always"] = server.files["/later"] = Served(picture(1))
    assert run_zoo(*command).code == 0
    assert len(images_in(tmp_path / "photos")) == 4
    assert not (tmp_path / "photos" / "failed.csv").exists()


def test_a_host_that_nobody_reaches_is_given_up(server: LoopbackServer, tmp_path: Path) -> None:
    dead = [Wanted(url=f"http://127.0.0.1:9/{number}.jpg", folder="ball", stem=f"{number}") for number in range(400)]
    # What counts is the host, so the one that lives has another name.
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
    given_up = [failure for failure in done.failures if "127.0.0.1 was given up" in failure.reason]
    assert len(given_up) > 300
    assert "no connection to 127.0.0.1: Connection refused" in done.failures[0].reason


def test_private_addresses_are_refused(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    rows = [(f"http://{host}:{server.port}/x.jpg", "ball") for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0")]
    rows += [("http://169.254.169.254/latest/meta-data/", "ball"), ("http://10.0.0.1/x.jpg", "ball")]
    rows += [(f"http://2130706433:{server.port}/x.jpg", "ball"), (f"http://[::ffff:127.0.0.1]:{server.port}/x", "ball")]
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos")
    assert done.code == 4
    reasons = [row["reason"] for row in read_csv(tmp_path / "photos" / "failed.csv")]
    assert len(reasons) == len(rows)
    assert all("is on a private network" in reason for reason in reasons), reasons
    assert server.answers == []


def test_names_are_fit_for_every_disk(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    server.files["/a/CON.jpg"] = server.files["/A/con.jpg"] = Served(picture(1))
    server.files["/%2E%2E%2F%2E%2E%2Fevil.jpg"] = Served(picture(2))
    server.files["/a/" + "long" * 100 + ".jpg"] = Served(picture(3))
    urls = [server.url + path for path in server.files]
    labels = ["rugby", "Rugby", "aux", "a/b"]
    rows = [*zip(urls, labels, strict=True), (server.url + "/a/CON.jpg?1", "../outside"), (urls[0] + "?2", "/etc")]
    server.files["/a/CON.jpg?1"] = Served(picture(4))
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private")
    assert done.code == 0, done.err
    assert "'Rugby' and 'rugby' are one class, 'rugby'" in done.err
    photos = tmp_path / "photos"
    found = {path.parent.name for path in images_in(photos)}
    assert found == {"rugby", "aux_", "a_b"}
    assert len(images_in(photos)) == 4
    assert all(len(path.name) < 140 and ".." not in path.name for path in images_in(photos))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv", "photos", "site"]
    reasons = [row["reason"] for row in read_csv(photos / "failed.csv")]
    assert len(reasons) == 2
    assert all("leads out of the folder" in reason for reason in reasons)


def test_a_dry_run_says_number_and_size_and_makes_nothing(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    rows = serve_pictures(server, 40)
    for served in server.files.values():
        served.body += bytes(100_000 - len(served.body))
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private", "--dry-run")
    assert done.code == 0
    assert "40 images (ball 40); 0 there, 40 to fetch" in done.out
    assert "about 4 MB, by the sizes of 20" in done.out
    assert not (tmp_path / "photos").exists()
    assert {answer.method for answer in server.answers} == {"HEAD"}


def test_a_list_that_is_none(run_zoo: RunZoo, tmp_path: Path) -> None:
    done = run_zoo("data", "fetch", "urls", "nothing.csv", "--out", "photos")
    assert (done.code, "There is no file" in done.err) == (2, True)
    (tmp_path / "list.csv").write_text("address,label\nhttp://x,y\n")
    done = run_zoo("data", "fetch", "urls", "list.csv", "--out", "photos")
    assert (done.code, "lacks the column(s) url" in done.err) == (4, True)
    (tmp_path / "list.csv").write_text("url,label\n")
    done = run_zoo("data", "fetch", "urls", "list.csv", "--out", "list.csv")
    assert (done.code, "is not a folder" in done.err) == (2, True)
