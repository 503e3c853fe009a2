"""``zoo data fetch imagenet`` on the usual kinds of copies, which are made of small images here."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import RunZoo
from tests.fetch.conftest import images_in, picture
from zoo.atomic import read_csv

RUGBY, SOCCER = "n04118538", "n04254680"


def tar_of(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def pictures(wnid: str, count: int = 6) -> dict[str, bytes]:
    return {f"{wnid}_{number}.JPEG": picture(hash(wnid) % 1000 + number) for number in range(count)}


def archive_of_archives(folder: Path) -> Path:
    path = folder / "ILSVRC2012_img_train.tar"
    path.write_bytes(tar_of({f"{wnid}.tar": tar_of(pictures(wnid)) for wnid in ("n01440764", RUGBY, SOCCER)}))
    return path


def archives(folder: Path) -> Path:
    for wnid in (RUGBY, SOCCER):
        (folder / f"{wnid}.tar").write_bytes(tar_of(pictures(wnid)))
    return folder


def class_folders(folder: Path) -> Path:
    for wnid in ("n01440764", RUGBY, SOCCER):
        for name, data in pictures(wnid).items():
            path = folder / "ILSVRC" / "Data" / "CLS-LOC" / "train" / wnid / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def archive_of_folders(folder: Path) -> Path:
    path = folder / "some.tar"
    path.write_bytes(tar_of({f"train/{wnid}/{n}": d for wnid in (RUGBY, SOCCER) for n, d in pictures(wnid).items()}))
    return path


def folder_with_archive(folder: Path) -> Path:
    return archive_of_archives(folder).parent


@pytest.mark.parametrize(
    "make", [archive_of_archives, archives, class_folders, archive_of_folders, folder_with_archive]
)
def test_every_kind_of_copy_gives_the_same_folders(run_zoo: RunZoo, tmp_path: Path, make: object) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    source = make(copy)  # type: ignore[operator]
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    command = ("data", "fetch", "imagenet", "--synsets", RUGBY, "Soccer Ball", "--from", source, "--out", "photos")
    done = run_zoo(*command)
    assert done.code == 0, done.err
    photos = tmp_path / "photos"
    found = {f"{path.parent.name}/{path.name}": path.read_bytes() for path in images_in(photos)}
    expected = {
        f"{name}/{file.replace('.JPEG', '.jpg')}": data
        for wnid, name in ((RUGBY, "rugby ball"), (SOCCER, "soccer ball"))
        for file, data in pictures(wnid).items()
    }
    assert found == expected
    assert {row["path"] for row in read_csv(photos / "attribution.csv")} == set(expected)
    assert "non-commercial" in (photos / "dataset.md").read_text()
    assert "12 images (rugby ball 6, soccer ball 6); 12 new" in done.out
    assert "0 new" in run_zoo(*command).out
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("crane", "'crane' may be 'crane bird' (n02012849) or 'crane machine' (n03126707)"),
        ("maillot", "'maillot tights' (n03710637) or 'maillot tank suit' (n03710721)"),
        ("rugby bal", "ImageNet has no class 'rugby bal'. Did you mean 'rugby ball'"),
        ("rugby", "Did you mean 'rugby ball'"),
        ("tench", "The copy does not contain n01440764 (tench)"),
        ("n99999999", "The copy does not contain n99999999."),
    ],
)
def test_names_that_are_not_clear(run_zoo: RunZoo, tmp_path: Path, name: str, words: str) -> None:
    done = run_zoo("data", "fetch", "imagenet", "--synsets", name, "--from", archives(tmp_path), "--out", "photos")
    assert (done.code, words in done.err) == (2, True), done.err
    assert not (tmp_path / "photos").exists()


def test_an_interrupted_copy_is_completed_and_a_dry_run_makes_nothing(run_zoo: RunZoo, tmp_path: Path) -> None:
    source = archives(tmp_path)
    command = ("data", "fetch", "imagenet", "--synsets", RUGBY, "--from", source, "--out", "photos")
    done = run_zoo(*command, "--dry-run")
    assert "6 files (rugby ball 6)" in done.out
    assert not (tmp_path / "photos").exists()
    assert "2 new" in run_zoo(*command, "--limit", "2").out
    (tmp_path / "photos" / ".zoo-fetch").mkdir()
    (tmp_path / "photos" / ".zoo-fetch" / "0123456789.part").write_bytes(b"half")
    done = run_zoo(*command)
    assert "6 images (rugby ball 6); 4 new" in done.out
    assert not (tmp_path / "photos" / ".zoo-fetch").exists()


def test_members_that_climb_out_or_are_no_files(run_zoo: RunZoo, tmp_path: Path) -> None:
    buffer = io.BytesIO(tar_of(pictures(RUGBY, 2) | {"../../evil.JPEG": picture(1), "/abs.JPEG": picture(2)}))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        for name, kind in ((f"{RUGBY}_link.JPEG", tarfile.SYMTYPE), (f"{RUGBY}_dev.JPEG", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        page = tarfile.TarInfo(f"{RUGBY}_page.JPEG")
        page.size = 13
        archive.addfile(page, io.BytesIO(b"<html></html>"))
    (tmp_path / f"{RUGBY}.tar").write_bytes(buffer.getvalue())
    source = tmp_path / f"{RUGBY}.tar"
    done = run_zoo("data", "fetch", "imagenet", "--synsets", RUGBY, "--from", source, "--out", "photos")
    assert done.code == 0, done.err
    assert len(images_in(tmp_path / "photos")) == 2
    reasons = {row["url"]: row["reason"] for row in read_csv(tmp_path / "photos" / "failed.csv")}
    assert reasons == {
        "../../evil.JPEG": "its path points outside the archive",
        "/abs.JPEG": "its path points outside the archive",
        f"{RUGBY}_link.JPEG": "not a regular file",
        f"{RUGBY}_dev.JPEG": "not a regular file",
        f"{RUGBY}_page.JPEG": "not an image: HTML text",
    }


def test_a_copy_that_was_cut_short_or_is_none(run_zoo: RunZoo, tmp_path: Path) -> None:
    whole = archive_of_archives(tmp_path).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    at = whole.index(f"{SOCCER}.tar".encode())  # the header of the last class begins here
    (tmp_path / "hole.tar").write_bytes(whole[:at] + b"\xff" * 512 + whole[at + 512 :])
    (tmp_path / "text.tar").write_bytes(b"no archive at all")
    (tmp_path / "empty").mkdir()
    for source, code, words in (
        ("cut.tar", 4, "truncated"),
        ("hole.tar", 4, "is damaged or truncated: no header at byte"),
        ("text.tar", 4, "not a tar file"),
        ("empty", 2, "neither class folders nor tar files"),
        ("nothing.tar", 2, "does not exist"),
    ):
        done = run_zoo("data", "fetch", "imagenet", "--synsets", RUGBY, "--from", source, "--out", "photos")
        assert (done.code, words in done.err) == (code, True), done.err


def test_a_compressed_copy_that_is_damaged(run_zoo: RunZoo, tmp_path: Path) -> None:
    files = {f"{RUGBY}/{name}": data + bytes(20_000) for name, data in pictures(RUGBY).items()}
    whole = gzip.compress(tar_of(files))
    scrambled = bytearray(whole)
    scrambled[len(whole) // 2 :] = b"\xff" * (len(whole) - len(whole) // 2)
    for name, data, words in (
        ("half.tgz", whole[: len(whole) // 2], "is damaged or truncated"),
        ("start.tar.gz", whole[:20], "is damaged or truncated"),
        ("scrambled.tgz", bytes(scrambled), "is damaged or truncated"),
        ("sum.tgz", whole[:-8] + bytes(4) + whole[-4:], "CRC check failed"),
        ("empty.tgz", b"", "is not a tar file, or is damaged"),
    ):
        (tmp_path / name).write_bytes(data)
        done = run_zoo("data", "fetch", "imagenet", "--synsets", RUGBY, "--from", name, "--out", "photos")
        assert (done.code, words in done.err, name in done.err) == (4, True, True), done.err
        assert not (tmp_path / "photos").exists()
    (tmp_path / "whole.tgz").write_bytes(whole)
    done = run_zoo("data", "fetch", "imagenet", "--synsets", RUGBY, "--from", "whole.tgz", "--out", "photos")
    assert done.code == 0, done.err
    assert len(images_in(tmp_path / "photos")) == 6
