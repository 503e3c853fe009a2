"""Formats, modes and sizes of the files of each class, and when they reveal the class."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from tests.audit.conftest import read_image, write_image
from tests.conftest import PhotoFolder
from zoo.audit.composition import parts, shortcut_findings
from zoo.audit.findings import Finding
from zoo.audit.photos import Photos, read_photos
from zoo.audit.records import Records


def photos_in(root: Path) -> Photos:
    with Records() as records:
        return read_photos(str(root), records)


def shortcuts(root: Path) -> list[Finding]:
    return shortcut_findings(photos_in(root))


def convert(folder: Path, suffix: str, count: int | None = None) -> None:
    for path in sorted(folder.iterdir())[:count]:
        write_image(path.with_suffix(suffix), read_image(path))
        path.unlink()


def test_every_class_and_split_is_counted_by_itself(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"train/a": 3, "train/b": 2, "test/a": 2})
    convert(root / "train" / "a", ".png", 2)
    write_image(root / "test" / "a" / "photo_000.jpg", cv2.imread(str(root / "test/a/photo_000.jpg"), 0)[:, :50])
    found = {(part.label, part.split): part for part in parts(photos_in(root))}
    assert found.keys() == {("a", "train"), ("a", "test"), ("b", "train")}
    assert found["a", "train"].pictures == 3
    assert found["a", "train"].formats == {"PNG": 2, "JPEG": 1}
    assert found["a", "test"].modes == {"gray": 1, "RGB": 1}
    assert found["a", "test"].sizes["width_px"] == {"smallest": 50, "median": 73, "largest": 96}
    assert found["b", "train"].sizes["height_px"] == {"smallest": 72, "median": 72, "largest": 72}


def test_a_format_of_one_class_alone_is_said_once(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 22, "b": 22, "c": 20})
    convert(root / "b", ".png", 20)
    (finding,) = shortcuts(root)
    assert finding.kind == "shortcut"
    assert finding.detail == "PNG: 91 % of b, at most 0 % of a, c"
    assert finding.values["shares"] == {"a": 0, "b": 0.9091, "c": 0}


@pytest.mark.parametrize(
    ("of_a", "of_b"), [(17, 0), (20, 3), (20, 20)], ids=["not-most", "more-than-hardly-any", "both"]
)
def test_formats_that_both_classes_have_tell_nothing(of_a: int, of_b: int, photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 20, "b": 20})
    convert(root / "a", ".png", of_a)
    convert(root / "b", ".png", of_b)
    assert shortcuts(root) == []


def test_small_classes_are_not_judged(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 19, "b": 20, "c": 20})
    convert(root / "a", ".png")
    assert shortcuts(root) == []


def test_gray_files_and_small_pictures_give_a_class_away(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 20, "b": 20})
    for path in (root / "a").iterdir():
        write_image(path, cv2.cvtColor(read_image(path), cv2.COLOR_BGR2GRAY))
    for path in (root / "b").iterdir():
        write_image(path, cv2.resize(read_image(path), None, fx=3, fy=3))
    assert [finding.detail for finding in shortcuts(root)] == [
        "stored as RGB: 100 % of b, 0 % of a",
        "shorter side: at most 72 px in 90 % of a, at least 216 px in 90 % of b",
    ]


def test_sizes_that_every_network_reduces_tell_nothing(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 20, "b": 20})
    for label, factor in (("a", 4), ("b", 12)):
        for path in (root / label).iterdir():
            write_image(path, cv2.resize(read_image(path), None, fx=factor, fy=factor))
    assert shortcuts(root) == []


def test_photos_of_one_origin_have_no_shortcuts(shared_data: Path) -> None:
    photos = photos_in(shared_data / "ccby_coarse")
    assert shortcut_findings(photos) == []
    assert json.dumps([part.sizes for part in parts(photos)])
