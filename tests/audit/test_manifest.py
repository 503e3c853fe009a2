"""Splits on disk: reading an earlier manifest, and errors if a folder cannot be filled."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audit.test_division import many
from zoo.audit.manifest import (
    copy_file,
    link_file,
    read_kept,
    refuse_existing,
    split_folders,
    write_division,
    write_manifest,
)
from zoo.audit.photos import Photo
from zoo.data.card import CardPart
from zoo.errors import DataError, UsageError


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    found = []
    for photo in many(3):
        path = tmp_path / photo.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo.name.encode())
        found.append(replace(photo, path=str(path)))
    return found


def test_a_manifest_is_read_although_its_files_are_missing(photos: list[Photo], tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    write_manifest(path, photos, ["train", "val", "test"])
    Path(photos[0].path).unlink()
    assert read_kept(path) == {photos[0].sha256: "train", photos[1].sha256: "val", photos[2].sha256: "test"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("path,label,split\na/1.jpg,a,train\n", "no sha256 for 'a/1.jpg'"),
        ("path,label,split,sha256\na/1.jpg,a,,11\n", "no split for 'a/1.jpg'"),
        ("path,label,split,sha256\na/1.jpg,a,train,11\na/2.jpg,a,test,11\n", "'a/2.jpg' in train and test"),
        ("path,label,split,sha256\na/1.jpg,,train,11\na/2.jpg,a,test,12\n", "line 2 has no label"),
        ("name\n", "lacks the column"),
    ],
)
def test_what_is_no_manifest_is_refused(rows: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_text(rows)
    with pytest.raises(DataError, match=said):
        read_kept(path)


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        read_kept(tmp_path)


def fill(folder: Path, photos: list[Photo], place: object = copy_file) -> None:
    split_folders(folder, photos, ["train"] * len(photos), place)  # type: ignore[arg-type]


def refusal(folder: Path, photos: list[Photo], place: object = copy_file) -> DataError:
    """Returns the error, and checks that nothing is left of the folder."""
    with pytest.raises(DataError) as caught:
        fill(folder, photos, place)
    assert not folder.exists()
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]
    return caught.value


def test_a_photo_that_cannot_be_read_is_named(photos: list[Photo], tmp_path: Path) -> None:
    Path(photos[1].path).unlink()
    error = refusal(tmp_path / "copied", photos)
    assert error.message == f"Could not read {photos[1].path}: No such file or directory."
    assert "space" not in str(error.hint)


def test_a_disk_without_links_is_told_from_a_full_one(
    photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_with(code: int) -> None:
        def symlink(source: object, target: object, target_is_directory: bool = False) -> None:
            raise OSError(code, os.strerror(code), str(source), None, str(target))

        monkeypatch.setattr(os, "symlink", symlink)

    fail_with(errno.EPERM)  # the error of FAT and exFAT
    error = refusal(tmp_path / "linked", photos, link_file)
    assert error.message == "Could not create the link 0.jpg: Operation not permitted."
    assert "--copy" in str(error.hint)
    fail_with(errno.ENOSPC)
    error = refusal(tmp_path / "linked", photos, link_file)
    assert error.message == f"Could not write {tmp_path / 'linked'}: No space left on device."
    assert error.hint == "Free some space."


def test_a_folder_that_cannot_be_made_says_so(photos: list[Photo], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="a file is in the way") as caught:
        fill(tmp_path / "file" / "copied", photos)
    assert "space" not in str(caught.value.hint)
    assert (tmp_path / "file").read_text() == "mine"


def test_copies_keep_content_and_time(photos: list[Photo], tmp_path: Path) -> None:
    os.utime(photos[0].path, (1e9, 1e9))
    fill(tmp_path / "copied", photos)
    copy = tmp_path / "copied" / "train" / "a" / "0.jpg"
    assert copy.read_bytes() == b"a/0.jpg"
    assert copy.stat().st_mtime == 1e9


class Killed(BaseException):
    """Stands for a signal that ends the process."""


def kill_at(moment: int, patch: pytest.MonkeyPatch) -> None:
    """Ends the process before or after one of the calls by which files and folders get their names."""
    passed = 0

    def watched(function: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object, **named: object) -> None:
            nonlocal passed
            passed += 1
            if passed == moment:
                raise Killed
            function(*arguments, **named)
            passed += 1
            if passed == moment:
                raise Killed

        return call

    patch.setattr(os, "rename", watched(os.rename))
    patch.setattr(os, "replace", watched(os.replace))
    patch.setattr(shutil, "rmtree", lambda *arguments, **named: None)  # a killed process does not clean up


@pytest.mark.parametrize("place", [copy_file, link_file])
def test_a_split_that_was_killed_can_be_run_again(
    place: Callable[[str, Path], None], photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = ["train", "val", "test"]
    part = CardPart(key="split", title="Split", command="zoo", sources=[], counts={})

    def divide(root: Path) -> None:
        refuse_existing(root / "lists" / "manifest.csv", root / "placed")
        write_division(root / "lists" / "manifest.csv", photos, splits, part, root / "placed", place)

    def everything(root: Path) -> dict[str, bytes]:
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    (tmp_path / "whole").mkdir()
    divide(tmp_path / "whole")
    expected = everything(tmp_path / "whole")
    assert len(expected) == 5
    moments = 6  # the folder, the card and the manifest
    for moment in range(1, moments + 1):
        root = tmp_path / f"killed{moment}"
        (root / "placed").mkdir(parents=True)
        with monkeypatch.context() as patch:
            kill_at(moment, patch)
            with pytest.raises(Killed):
                divide(root)
        if moment < moments:
            divide(root)
        assert everything(root) == expected, moment
    with monkeypatch.context() as patch:  # there is no seventh
        kill_at(moments + 1, patch)
        (tmp_path / "last").mkdir()
        divide(tmp_path / "last")


@pytest.mark.parametrize("change", ["another file", "other content", "fewer files"])
def test_a_folder_that_holds_something_else_is_refused(change: str, photos: list[Photo], tmp_path: Path) -> None:
    folder = tmp_path / "copied"
    fill(folder, photos)
    file = folder / "train" / "a" / "0.jpg"
    if change == "another file":
        (folder / "train" / "a" / "mine.jpg").write_text("mine")
    elif change == "other content":
        file.write_text("mine")
    else:
        file.unlink()
    before = sorted(folder.rglob("*"))
    with pytest.raises(UsageError, match="is not an empty folder"):
        fill(folder, photos)
    assert sorted(folder.rglob("*")) == before
