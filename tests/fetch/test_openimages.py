"""``zoo data fetch openimages`` from a local mirror that has the layout of the original index and images."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import RunZoo
from tests.fetch.conftest import images_in, picture
from tests.fetch.server import LoopbackServer, Served
from zoo.atomic import read_csv
from zoo.images import decode

CLASSES = "/index/v7/oidv7-class-descriptions.csv"
LABELS = "/index/v7/oidv7-train-annotations-human-imagelabels.csv"
IMAGES = "/index/2018_04/train/train-images-boxable-with-rotation.csv"
RUGBY, FOOTBALL, CHESS, TORTOISE = "/m/06ntj", "/m/02vx4", "/m/01wr_", "/m/011k07"
HEADER = (
    *("ImageID", "Subset", "OriginalURL", "OriginalLandingURL", "License", "AuthorProfileURL", "Author", "Title"),
    *("OriginalSize", "OriginalMD5", "Thumbnail300KURL", "Rotation"),
)
LICENCE = "https://creativecommons.org/licenses/by/2.0/"


def csv_text(*rows: Sequence[object]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()


def image_id(number: int) -> str:
    return f"{number * 7919 % 2**64:016x}"


def image_row(
    server: LoopbackServer, number: int, rotation: object = "0.0", title: str = "A game"
) -> tuple[object, ...]:
    original = picture(number, size=(120, 160))
    digest = base64.b64encode(hashlib.md5(original).digest()).decode()
    name = image_id(number)
    server.files[f"/photos/{name}_o.jpg"] = Served(original)
    return (
        *(name, "train", f"{server.url}/photos/{name}_o.jpg", f"https://photos.example/{name}", LICENCE),
        *("https://photos.example/people/1", f"Author {number}", title, len(original), digest, "", rotation),
    )


@pytest.fixture
def mirror(server: LoopbackServer) -> LoopbackServer:
    """30 images of rugby, 30 of football, two of both, one whose label was denied, a few only in the labels."""
    labels: list[tuple[object, ...]] = [("ImageID", "Source", "LabelName", "Confidence")]
    images: list[tuple[object, ...]] = [HEADER]
    for number in range(1, 61):
        labels.append((image_id(number), "verification", RUGBY if number % 2 else FOOTBALL, 1))
        labels.append((image_id(number), "verification", "/m/06ntjx", 1))
        rotation = {1: "90.0", 3: "180.0", 5: "270.0", 7: "nan", 9: ""}.get(number, "0.0")
        title = 'Two\nlines, "quoted"' if number == 11 else "A game"
        images.append(image_row(server, number, rotation, title))
        server.files[f"/mirror/train/{image_id(number)}.jpg"] = Served(picture(number))
    for number in (61, 62):
        labels += [(image_id(number), "verification", one, 1) for one in (RUGBY, FOOTBALL)]
        images.append(image_row(server, number))
    labels += [(image_id(63), "verification", RUGBY, 0), (image_id(64), "crowdsource-verification", RUGBY, 1)]
    images.append(image_row(server, 63))
    server.files[CLASSES] = Served(
        csv_text(
            ("LabelName", "DisplayName"),
            *(
                (RUGBY, "Rugby"),
                (FOOTBALL, "Football"),
                (CHESS, "Chess"),
                (TORTOISE, "Tortoise"),
                ("/m/9", "Rugby ball"),
            ),
        )
    )
    server.files[LABELS] = Served(csv_text(*labels))
    server.files[IMAGES] = Served(csv_text(*images))
    return server


def command(mirror: LoopbackServer, *rest: object) -> tuple[object, ...]:
    return (
        *("data", "fetch", "openimages", "--index", f"{mirror.url}/index", "--images", f"{mirror.url}/mirror"),
        *("--out", "photos", *rest),
    )


@pytest.mark.usefixtures("own_cache")
def test_two_classes_become_folders_with_credits(run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path) -> None:
    done = run_zoo(*command(mirror, "--classes", "Rugby", "football", "--limit", "20"))
    assert done.code == 0, done.err
    assert "Rugby: 20 chosen of 33 with a confirmed label" in done.err
    assert "2 images show more than one of these classes" in done.err
    photos = tmp_path / "photos"
    found = images_in(photos)
    assert [sum(path.parent.name == name for path in found) for name in ("Football", "Rugby")] == [20, 20]
    lowest = sorted(image_id(number) for number in range(1, 61, 2))[:20]
    assert [path.stem for path in found if path.parent.name == "Rugby"] == lowest
    credits = {row["path"]: row for row in read_csv(photos / "attribution.csv")}
    assert len(credits) == 40
    row = credits[f"Rugby/{image_id(11)}.jpg"]
    assert (row["author"], row["licence"]) == ("Author 11", LICENCE)
    assert row["title"] == 'Two\nlines, "quoted"'
    assert row["page"] == f"https://photos.example/{image_id(11)}"
    card = (photos / "dataset.md").read_text()
    assert LICENCE in card
    assert "Open Images V7 | 40" in card


@pytest.mark.usefixtures("own_cache")
def test_images_are_turned_as_the_index_says(run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path) -> None:
    assert run_zoo(*command(mirror, "--classes", "Rugby")).code == 0
    for number, quarters in ((1, 1), (3, 2), (5, 3), (7, 0), (9, 0), (11, 0)):
        path = tmp_path / "photos" / "Rugby" / f"{image_id(number)}.jpg"
        np.testing.assert_array_equal(decode(path.read_bytes()), np.rot90(decode(picture(number)), quarters))


def test_the_index_is_downloaded_once_and_resumed(
    run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path, own_cache: Path
) -> None:
    mirror.files[LABELS].cut_at = 1500
    assert run_zoo(*command(mirror, "--classes", "Rugby", "--limit", "3")).code == 0
    assert [answer.range for answer in mirror.asked(LABELS)] == [None, "bytes=1500-"]
    before = len(mirror.answers)
    assert run_zoo(*command(mirror, "--classes", "Rugby", "Football", "--limit", "3")).code == 0
    assert len(mirror.answers) == before + 3
    assert not list(own_cache.rglob("*.part"))


def test_an_index_in_chunks_that_breaks_off_is_not_taken_for_the_whole(
    run_zoo: RunZoo, mirror: LoopbackServer, own_cache: Path
) -> None:
    """Half of a table is a valid table, so nobody would notice that classes have fewer images."""
    for path in (CLASSES, LABELS, IMAGES):
        mirror.files[path].chunked = True
    mirror.files[LABELS].cut_at, mirror.files[LABELS].cut_times = 2014, 99
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--limit", "3"))
    assert done.code == 4
    assert "ended after 2000 bytes (tried 5 times)" in done.err
    assert not list(own_cache.rglob("*imagelabels.csv"))
    mirror.files[LABELS].cut_times = len(mirror.asked(LABELS)) + 1
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--limit", "3"))
    assert done.code == 0, done.err
    assert "Rugby: 3 chosen of 33 with a confirmed label" in done.err
    kept = next(own_cache.rglob("*imagelabels.csv"))
    assert kept.read_bytes() == mirror.files[LABELS].body


@pytest.mark.usefixtures("own_cache")
def test_originals_are_checked_against_the_index(run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path) -> None:
    other = sorted(image_id(number) for number in range(1, 61, 2))[0]
    mirror.files[f"/photos/{other}_o.jpg"] = Served(picture(999))
    mirror.files["/index/v6/oidv6-train-images-with-labels-with-rotation.csv"] = mirror.files.pop(IMAGES)
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--limit", "5", "--originals", "--dry-run"))
    assert "5 to download.\nSize: " in done.out, done.err
    assert "according to the list" in done.out
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--limit", "5", "--originals"))
    assert done.code == 0, done.err
    assert [row["reason"] for row in read_csv(tmp_path / "photos" / "failed.csv")] == ["wrong checksum, twice"]
    assert len(images_in(tmp_path / "photos")) == 4


@pytest.mark.usefixtures("own_cache")
def test_a_dry_run_says_number_and_size(run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path) -> None:
    done = run_zoo(*command(mirror, "--classes", "Rugby", "Football", "--limit", "10", "--dry-run"))
    assert done.code == 0, done.err
    assert "20 images (Football 10, Rugby 10): 0 present, 20 to download." in done.out
    assert "according to the servers" in done.out
    assert "No image was downloaded." in done.out
    assert not (tmp_path / "photos").exists()


@pytest.mark.usefixtures("own_cache")
def test_a_dry_run_fetches_no_large_index(run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path) -> None:
    mirror.files[LABELS].headers["Content-Length"] = "2740000000"
    done = run_zoo(*command(mirror, "--classes", "Rugby", "Football", "--limit", "1000", "--dry-run"))
    assert done.code == 0, done.err
    assert "in the index (2.74 GB), which is not in the cache yet" in done.out
    assert "At most 2000 images, 1000 per class. Size: at most about 600 MB, 300 kB per image" in done.out
    assert "No image was downloaded, and no index file except the list of classes." in done.out
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--limit", "10", "--originals", "--dry-run"))
    assert "At most 10 images, 10 per class. Size: at most about 20 MB, 2 MB per image" in done.out
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--dry-run"))
    assert "Size: unknown without --limit; 300 kB per image" in done.out
    assert {answer.method for answer in mirror.asked(LABELS)} == {"HEAD"}


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    ("classes", "code", "words"),
    [
        (("Ruby",), 2, "Open Images has no class 'Ruby'. Did you mean 'Rugby'"),
        (("ball",), 2, "Did you mean 'Rugby ball'"),
        (("Rugby", "Chess"), 4, "No image of the split 'train' has the confirmed label 'Chess'"),
        (("Xqzw",), 2, "For a list of all 5 classes, see "),
    ],
)
def test_classes_that_cannot_be_had(
    run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path, classes: tuple[str, ...], code: int, words: str
) -> None:
    done = run_zoo(*command(mirror, "--classes", *classes))
    assert (done.code, words in done.err) == (code, True), done.err
    assert not (tmp_path / "photos").exists()


@pytest.mark.usefixtures("own_cache")
def test_ids_that_climb_out_or_collide(run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path) -> None:
    ids = ["../../evil", "/abs", "ABCD", "abcd"]
    mirror.files[LABELS].body += csv_text(*((one, "verification", TORTOISE, 1) for one in ids))
    rows = [(one, *image_row(mirror, 70 + number)[1:]) for number, one in enumerate(ids)]
    mirror.files[IMAGES].body += csv_text(*rows)
    for one in ids:
        mirror.files[f"/mirror/train/{one}.jpg"] = Served(picture(1))
    done = run_zoo(*command(mirror, "--classes", "Tortoise"))
    assert done.code == 0, done.err
    names = [path.stem.lower() for path in images_in(tmp_path / "photos")]
    assert len(set(names)) == 2
    assert all(name.startswith("abcd") for name in names)
    reasons = [row["reason"] for row in read_csv(tmp_path / "photos" / "failed.csv")]
    assert len(reasons) == 2
    assert all("is not a valid file name" in reason for reason in reasons)
    assert not list(tmp_path.rglob("evil*"))


def test_without_a_network_it_says_what_it_tried_and_how_to_go_on(
    run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path, own_cache: Path
) -> None:
    nobody = ("--index", "http://127.0.0.1:9/index", "--images", f"{mirror.url}/mirror", "--out", "photos")
    done = run_zoo("data", "fetch", "openimages", *nobody, "--classes", "Rugby", "--limit", "2")
    assert done.code == 4
    assert "http://127.0.0.1:9/index/v7/oidv7-class-descriptions.csv" in done.err
    assert "Connection refused (tried 5 times)" in done.err
    cache = next(word for word in done.err.split() if word.startswith(str(own_cache))).rstrip(",.")
    for path in (CLASSES, LABELS, IMAGES):
        (Path(cache) / Path(path).name).write_bytes(mirror.files[path].body)
    done = run_zoo("data", "fetch", "openimages", *nobody, "--classes", "Rugby", "--limit", "2")
    assert done.code == 0, done.err
    folder = tmp_path / "index"
    folder.mkdir()
    for path in (CLASSES, LABELS, IMAGES):
        (folder / Path(path).name).write_bytes(mirror.files[path].body)
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--limit", "3", "--index", folder))
    assert done.code == 0, done.err


@pytest.mark.usefixtures("own_cache")
def test_an_index_that_is_something_else(run_zoo: RunZoo, mirror: LoopbackServer) -> None:
    mirror.files[LABELS] = Served(b"<html>Sign in</html>")
    done = run_zoo(*command(mirror, "--classes", "Rugby"))
    assert done.code == 4
    assert "lacks the column(s) ImageID, LabelName, Confidence" in done.err
    mirror.files[CLASSES] = Served(b"", 404)
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--index", f"{mirror.url}/other"))
    assert done.code == 4
    assert "HTTP 404 Not Found" in done.err


@pytest.mark.usefixtures("own_cache")
def test_what_the_index_names_and_the_mirror_redirects_to_is_not_trusted(
    run_zoo: RunZoo, mirror: LoopbackServer, tmp_path: Path
) -> None:
    ids = sorted(image_id(number) for number in range(1, 61, 2))[:2]
    target = {"Location": f"http://localhost:{mirror.port}/photos/{ids[0]}_o.jpg"}
    mirror.files[f"/mirror/train/{ids[0]}.jpg"] = Served(status=302, headers=target)
    done = run_zoo(*command(mirror, "--classes", "Rugby", "--limit", "2"))
    assert done.code == 0, done.err
    assert "localhost is on a private network" in read_csv(tmp_path / "photos" / "failed.csv")[0]["reason"]
