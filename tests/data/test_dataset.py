"""Whole datasets: usable files, unusable files with the reason, and refused datasets."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import PhotoFolder, draw_photo
from zoo.data import TEST, TRAIN, VAL, load_data, load_for_evaluation
from zoo.errors import DataError, UsageError
from zoo.image_spec import ImageSpec

SPEC = ImageSpec(height_px=24, width_px=24)


def test_digits_come_with_the_package() -> None:
    data = load_data("digits", ImageSpec(height_px=16, width_px=16))
    assert len(data.names) == 1797
    assert data.labels == tuple("0123456789")
    assert data.counts[TRAIN]["0"] + data.counts[VAL]["0"] + data.counts[TEST]["0"] == 178
    zero, one = (data.pixels.read(data.indices(TRAIN)[data.classes[data.indices(TRAIN)] == digit]) for digit in (0, 1))
    middle = np.s_[:, 6:10, 6:10]
    assert zero[middle].mean() < one[middle].mean()  # the middle of a zero is empty, and that of a one is not


def test_a_folder_is_preferred_where_it_is_spelt_as_one(
    photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"x": 5, "y": 5}, name="digits")
    monkeypatch.chdir(root.parent)
    assert load_data("./digits", SPEC).labels == ("x", "y")
    assert load_data("digits", SPEC).labels == tuple("0123456789")


def test_the_digest_is_of_contents_not_of_places(photo_folder: PhotoFolder) -> None:
    first = photo_folder({"a": 8, "b": 8}, name="first")
    moved = first.parent / "moved"
    first.rename(moved)
    before = load_data(str(moved), SPEC)
    (moved / "a" / "photo_000.jpg").rename(moved / "a" / "zzz.jpg")
    after = load_data(str(moved), SPEC)
    assert before.digest == after.digest
    (moved / "a" / "zzz.jpg").rename(moved / "b" / "zzz.jpg")
    assert load_data(str(moved), SPEC).digest != before.digest


def test_unusable_files_are_listed_and_not_fatal(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 6, "b": 6})
    (root / "a" / "page.jpg").write_text("<!DOCTYPE html><html>404</html>")
    (root / "b" / "empty.png").write_bytes(b"")
    os.mkfifo(root / "b" / "pipe.jpg")
    (root / "b" / "self").symlink_to("self")
    data = load_data(str(root), SPEC)
    assert len(data.names) == 12
    reasons = {item.name: item.reason for item in data.skipped}
    assert reasons.keys() == {"a/page.jpg", "b/empty.png", "b/pipe.jpg", "b/self"}
    assert all(reasons.values())
    assert "link to itself" in reasons["b/self"]


def test_pictures_that_are_used_with_a_remark_are_said_every_time(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 6, "b": 6})
    photo = root / "a" / "photo_000.jpg"
    photo.write_bytes(photo.read_bytes()[:-2])
    for _ in range(2):  # first decoded, then from the cache
        data = load_data(str(root), SPEC)
        assert (len(data.names), data.skipped) == (12, ())
        assert data.notes == (
            "1 file(s) used with a remark, for example 'a/photo_000.jpg': JPEG without end marker, otherwise complete.",
        )


def test_heic_is_read_once_its_decoder_is_installed(photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pi_heif", reason="pi-heif, which reads HEIC, is not installed")
    pytest.importorskip("pillow_heif", reason="pillow-heif, which writes HEIC, is not installed")
    from tests.images.valid import RGB, heic

    root = photo_folder({"a": 6, "b": 6})
    (root / "a" / "IMG_0001.HEIC").write_bytes(heic.encode(RGB))
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pi_heif", None)
        data = load_data(str(root), SPEC)
        assert [item.name for item in data.skipped] == ["a/IMG_0001.HEIC"]
        assert data.skipped[0].reason.startswith("HEIC photo; install keras-edge-zoo[heif]")
    assert load_data(str(root), SPEC).skipped == ()


def test_a_class_of_which_nothing_is_left_is_fatal(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 6, "b": 6})
    (root / "c").mkdir()
    (root / "c" / "page.jpg").write_text("<!DOCTYPE html>")
    with pytest.raises(DataError, match=r"No usable image in class\(es\) 'c'.*page.jpg"):
        load_data(str(root), SPEC)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"only": 5}, "contains only one class, 'only'"),
        ({"a": 1, "b": 1}, "no test images are left"),
        ({"train/a": 3, "train/b": 3, "test/c": 2}, r"No training image in class\(es\) 'c'"),
        ({"test/a": 3, "test/b": 3}, r"No training image in class\(es\) 'a', 'b'"),
    ],
)
def test_data_that_cannot_be_learnt_from_is_refused(
    photo_folder: PhotoFolder, counts: dict[str, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load_data(str(photo_folder(counts)), SPEC)


def test_a_mistyped_name_lists_the_data_sets() -> None:
    with pytest.raises(UsageError, match="digits"):
        load_data("digitz", SPEC)


def test_contradictions_are_told(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2})
    picture = (root / "train" / "a" / "photo_000.jpg").read_bytes()
    (root / "train" / "b" / "copy.jpg").write_bytes(picture)
    notes = " ".join(load_data(str(root), SPEC).notes)
    assert "1 image(s) appear with the same bytes under more than one label" in notes


def test_evaluation_takes_the_test_split_or_everything(photo_folder: PhotoFolder) -> None:
    flat = photo_folder({"a": 3, "b": 2}, name="flat")
    split = photo_folder({"train/a": 3, "train/b": 2, "test/a": 4}, name="split")
    assert len(load_for_evaluation(str(flat), SPEC, ("a", "b", "c")).indices(TEST)) == 5
    data = load_for_evaluation(str(split), SPEC, ("a", "b", "c"))
    assert len(data.indices(TEST)) == 4
    assert data.labels == ("a", "b", "c")
    with pytest.raises(DataError, match=r"was not trained on the class\(es\) 'b'"):
        load_for_evaluation(str(flat), SPEC, ("a", "c"))


def test_a_csv_with_missing_files_goes_on_without_them(tmp_path: Path) -> None:
    for number in range(12):
        draw_photo(tmp_path / f"{number}.jpg", 90 * (number % 2), number)
    rows = [f"{number}.jpg,{'ab'[number % 2]}" for number in range(14)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *rows]))
    data = load_data(str(tmp_path / "list.csv"), SPEC)
    assert len(data.names) == 12
    assert [item.name for item in data.skipped] == ["12.jpg", "13.jpg"]


def test_the_hostile_folder(shared_data: Path, tmp_path: Path) -> None:
    hostile = import_from(shared_data / "make_hostile.py")
    folder = tmp_path / "hostile"
    table = {path: (verdict, why) for path, _, verdict, why in hostile.build(str(folder), shared_data / "rugby_soccer")}
    data = load_data(str(folder), SPEC)
    used, refused = set(data.names), {item.name for item in data.skipped}
    wrong = []
    for path, (verdict, why) in table.items():
        found = "usable" if path in used else "reject" if path in refused else "ignore"
        if path == "rugby/unreadable.jpg" and os.geteuid() == 0:
            continue  # root can read it
        if verdict not in ("policy", found):
            wrong.append(f"{path}: {verdict} expected ({why}), {found} found")
    assert not wrong, "\n".join(wrong)
    policy = Counter(
        "usable" if path in used else "other" for path, (verdict, _) in table.items() if verdict == "policy"
    )
    assert policy["usable"] >= 6
    assert "stray.jpg" in refused
    assert "empty_class" not in data.labels
    assert any("more than one label" in note for note in data.notes)


def import_from(path: Path):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
