"""Findings about single files, on real files of each kind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.audit.conftest import read_image, write_image
from tests.conftest import PhotoFolder
from zoo.audit.facts import facts_of
from zoo.audit.files import file_findings
from zoo.audit.findings import KINDS
from zoo.audit.photos import Photos, read_photos
from zoo.audit.records import Records
from zoo.images import decode


def said_of(root: Path) -> tuple[Photos, dict[str, set[str]]]:
    """For each kind of finding, its files, or its details if it is about no file."""
    with Records() as records:
        photos = read_photos(str(root), records)
    said: dict[str, set[str]] = {}
    for finding in file_findings(photos):
        said.setdefault(finding.kind, set()).add(finding.files[0] if finding.files else finding.detail)
    return photos, said


def test_plain_photos_give_nothing_to_say(photo_folder: PhotoFolder) -> None:
    photos, said = said_of(photo_folder({"a": 20, "b": 20}))
    assert said == {}
    assert photos.counts == {"": {"a": 20, "b": 20}}


def test_every_oddity_is_said_of_its_file_alone(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 20, "b": 20})
    plain = root / "a" / "photo_000.jpg"
    image = read_image(plain)
    (root / "a" / "misnamed.png").write_bytes(plain.read_bytes() + b"\0")
    write_image(root / "a" / "clear.png", np.dstack([image, np.full(image.shape[:2], 90, np.uint8)]))
    write_image(root / "a" / "deep.png", image.astype(np.uint16) * 200)
    write_image(root / "b" / "blank.jpg", np.full((100, 100, 3), 200, np.uint8))
    write_image(root / "b" / "long.jpg", cv2.resize(image, (500, 90)))
    write_image(root / "b" / "tiny.jpg", cv2.resize(image, (30, 30)))
    exif = Image.Exif()
    exif[274] = 6
    Image.open(plain).rotate(3).save(root / "b" / "turned.jpg", exif=exif)
    (root / "b" / "page.jpg").write_text("<!DOCTYPE html><html>404</html>")
    _, said = said_of(root)
    assert said == {
        "misnamed": {"a/misnamed.png"},
        "alpha": {"a/clear.png"},
        "deep": {"a/deep.png"},
        "blank": {"b/blank.jpg"},
        "shape": {"b/long.jpg"},
        "tiny": {"b/tiny.jpg"},
        "rotated": {"b/turned.jpg"},
        "unreadable": {"b/page.jpg"},
    }


def test_notes_and_licences_are_no_error(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 20, "b": 20})
    (root / "a" / "notes.txt").write_text("Taken on Monday.")
    (root / "b" / "LICENSE").write_text("CC0")
    (root / "b" / "walk.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0isommp42")
    (root / "b" / "page.jpg").write_text("<html>404</html>")
    _, said = said_of(root)
    assert said == {"other": {"a/notes.txt", "b/LICENSE", "b/walk.mp4"}, "unreadable": {"b/page.jpg"}}
    assert KINDS["other"].severity == "note"


def test_what_is_odd_about_a_picture_that_is_used_is_said(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 20, "b": 20})
    plain = root / "a" / "photo_000.jpg"
    Image.open(plain).rotate(3).save(root / "a" / "no_end.jpg")
    (root / "a" / "no_end.jpg").write_bytes((root / "a" / "no_end.jpg").read_bytes()[:-2])
    twelve_bits = read_image(plain).astype(np.uint16)[..., 0] * 16
    write_image(root / "b" / "dark.tif", twelve_bits)
    photos, said = said_of(root)
    assert len(photos) == 42
    assert said == {"remark": {"a/no_end.jpg", "b/dark.tif"}, "deep": {"b/dark.tif"}}


@pytest.mark.parametrize(
    ("mode", "options", "expected"),
    [
        ("L", {"format": "JPEG"}, ("JPEG", "gray", 8, False)),
        ("RGB", {"format": "JPEG", "progressive": True}, ("JPEG", "RGB", 8, False)),
        ("CMYK", {"format": "JPEG"}, ("JPEG", "CMYK", 8, False)),
        ("RGBA", {"format": "PNG"}, ("PNG", "RGB", 8, True)),
        ("LA", {"format": "PNG"}, ("PNG", "gray", 8, True)),
        ("P", {"format": "PNG"}, ("PNG", "palette", 8, False)),
        ("P", {"format": "PNG", "transparency": 0}, ("PNG", "palette", 8, True)),
        ("1", {"format": "PNG"}, ("PNG", "gray", 1, False)),
        ("I;16", {"format": "PNG"}, ("PNG", "gray", 16, False)),
        ("P", {"format": "GIF"}, ("GIF", "palette", 8, False)),
        ("RGBA", {"format": "WebP"}, ("WebP", "RGB", 8, True)),
        ("RGB", {"format": "WebP"}, ("WebP", "RGB", 8, False)),
        ("RGB", {"format": "BMP"}, ("BMP", "RGB", 8, False)),
        ("L", {"format": "TIFF"}, ("TIFF", "gray", 8, False)),
        ("1", {"format": "TIFF"}, ("TIFF", "gray", 1, False)),
        ("P", {"format": "TIFF"}, ("TIFF", "palette", 8, False)),
        ("CMYK", {"format": "TIFF"}, ("TIFF", "CMYK", 8, False)),
        ("RGBA", {"format": "TIFF"}, ("TIFF", "RGB", 8, True)),
        ("P", {"format": "BMP"}, ("BMP", "palette", 8, False)),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_format_mode_bits_and_alpha(
    mode: str, options: dict[str, object], expected: tuple[object, ...], tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    if mode == "I;16":
        picture = Image.fromarray(random.integers(0, 65535, (40, 50), dtype=np.uint16))
    else:
        base = Image.fromarray(random.integers(0, 255, (40, 50, 3), dtype=np.uint8))
        picture = base.convert(mode)
        if "A" in mode:
            picture.putalpha(100)
    path = tmp_path / "picture"
    picture.save(path, **options)  # type: ignore[arg-type]
    data = path.read_bytes()
    facts = facts_of(data, decode(data), "")
    assert (facts.format, facts.mode, facts.bits, facts.alpha) == expected
    assert (facts.width_px, facts.height_px) == (50, 40)
    assert not facts.blank


def test_equal_pixels_have_one_digest_in_any_lossless_format(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    digests = set()
    for name in ("a.png", "a.bmp", "a.tif"):
        picture.save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        digests.add(facts_of(data, decode(data), "").pixels_sha256)
    assert len(digests) == 1


def test_one_class_and_lost_classes_cannot_be_trained(photo_folder: PhotoFolder) -> None:
    _, said = said_of(photo_folder({"only": 20}))
    assert said["unusable"] == {"one class only, only; a classifier needs two or more"}
    root = photo_folder({"train/a": 20, "train/b": 20, "test/c": 20}, name="lost")
    (root / "train" / "d").mkdir()
    (root / "train" / "d" / "note.jpg").write_text("nothing")
    _, said = said_of(root)
    assert said["unusable"] == {"no training picture in class c", "no usable picture in class d"}


def test_the_facts_of_the_first_run_are_those_of_the_second(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 4, "b": 4})
    (root / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    first, _ = said_of(root)
    second, _ = said_of(root)
    assert first.photos == second.photos
    assert first.skipped == second.skipped
