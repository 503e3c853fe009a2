"""``zoo data fetch urls``: the results of a list, for all kinds of server behaviour."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.conftest import RunZoo
from tests.fetch.conftest import UrlList, images_in, picture, serve_pictures
from tests.fetch.server import LoopbackServer, Served
from zoo.atomic import read_csv
from zoo.fetch.addresses import Access
from zoo.fetch.download import Downloader, Wanted
from zoo.fetch.folder import Credit, ImageFolder


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


def test_the_same_command_again_downloads_nothing(
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
    assert f"{len(reasons)} downloads failed" in done.out
    assert "truncated JPEG" in done.out
    assert not (photos / ".zoo-fetch").exists()
    assert len(server.asked("/sum.jpg")) == 2
    assert len(server.asked("/gone.jpg")) == 1


def _png_of(width_px: int, height_px: int) -> bytes:
    """A small PNG that declares a large picture."""
    png = bytearray(cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes())
    png[16:24] = width_px.to_bytes(4, "big") + height_px.to_bytes(4, "big")
    return bytes(png)


def test_what_an_option_refused_comes_with_another_option(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    """An incomplete run remembers failed images, but failures that depend on an option must be tried again."""
    server.files["/large.png"] = Served(picture(1, ".png", (600, 600)) + bytes(200_000))
    server.files["/page"] = Served(b"<html>no image</html>")
    server.files["/later"] = Served(b"", 429, {"Retry-After": "86400"})
    rows = [(server.url + path, "ball") for path in server.files]
    photos = tmp_path / "photos"

    def fetched(*options: str, nobody: bool = False) -> dict[str, str]:
        """Fetches a list; for each failed name, the reason."""
        unreached = [("http://nobody.invalid/x", "ball")] if nobody else []
        done = run_zoo("data", "fetch", "urls", url_list([*rows, *unreached]), "--out", "photos", *options)
        assert done.code == 4
        assert (photos / ".zoo-fetch").is_dir(), "the run is complete, so it remembers nothing anyway"
        return {row["url"].rpartition("/")[2]: row["reason"] for row in read_csv(photos / "failed.csv")}

    reasons = fetched(nobody=True)
    assert all("is on a private network" in reasons[name] for name in ("large.png", "page", "later"))
    assert fetched("--allow-private", "--max-mb", "0.1")["large.png"] == "larger than 0.1 MB"
    assert set(fetched("--allow-private")) == {"page", "later"}
    assert [path.name[:5] for path in images_in(photos)] == ["large"]
    assert len(server.asked("/page")) == 1


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
    assert "'Rugby' and 'rugby' are treated as one class, 'rugby'" in done.err
    photos = tmp_path / "photos"
    found = {path.parent.name for path in images_in(photos)}
    assert found == {"rugby", "aux_", "a_b"}
    assert len(images_in(photos)) == 4
    assert all(len(path.name) < 140 and ".." not in path.name for path in images_in(photos))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv", "photos", "site"]
    reasons = [row["reason"] for row in read_csv(photos / "failed.csv")]
    assert len(reasons) == 2
    assert all("points outside the folder" in reason for reason in reasons)


def test_a_dry_run_says_number_and_size_and_makes_nothing(
    run_zoo: RunZoo, server: LoopbackServer, url_list: UrlList, tmp_path: Path
) -> None:
    rows = serve_pictures(server, 40)
    for served in server.files.values():
        served.body += bytes(100_000 - len(served.body))
    done = run_zoo("data", "fetch", "urls", url_list(rows), "--out", "photos", "--allow-private", "--dry-run")
    assert done.code == 0
    assert "40 images (ball 40): 0 present, 40 to download" in done.out
    assert "about 4 MB, estimated from 20" in done.out
    assert not (tmp_path / "photos").exists()
    assert {answer.method for answer in server.answers} == {"HEAD"}


def test_what_another_command_brought_meanwhile_keeps_its_credits(server: LoopbackServer, tmp_path: Path) -> None:
    rows = serve_pictures(server, 3)
    wanted = [
        Wanted(url=url, folder=label, stem=str(number), credit=Credit(url=url))
        for number, (url, label) in enumerate(rows)
    ]
    downloader = Downloader(Access(allow_private=True))
    first, second = ImageFolder(tmp_path / "photos"), ImageFolder(tmp_path / "photos")
    for folder, items in ((first, wanted[:2]), (second, wanted[1:])):
        with folder.filling():
            downloader.run(items, folder)
            folder.complete()
    credits = {row["path"]: row["url"] for row in read_csv(tmp_path / "photos" / "attribution.csv")}
    assert credits == {f"ball/{number}.jpg": url for number, (url, _) in enumerate(rows)}
    assert len(second.credits) == 3
    assert len(server.answers) == 3


def test_a_list_that_is_none(run_zoo: RunZoo, tmp_path: Path) -> None:
    done = run_zoo("data", "fetch", "urls", "nothing.csv", "--out", "photos")
    assert (done.code, "does not exist" in done.err) == (2, True)
    (tmp_path / "list.csv").write_text("address,label\nhttp://x,y\n")
    done = run_zoo("data", "fetch", "urls", "list.csv", "--out", "photos")
    assert (done.code, "lacks the column(s) url" in done.err) == (4, True)
    (tmp_path / "list.csv").write_text("url,label\n")
    for option in ("--allow-private", "--dry-run"):
        done = run_zoo("data", "fetch", "urls", "list.csv", "--out", "photos", option)
        assert (done.code, "'list.csv' lists no image" in done.err) == (4, True)
        assert "failed.csv" not in done.err
    assert not (tmp_path / "photos").exists()
    done = run_zoo("data", "fetch", "urls", "list.csv", "--out", "list.csv")
    assert (done.code, "is not a folder" in done.err) == (2, True)
