"""``zoo data split``, the real command, and training on what it writes."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import pytest

from tests.audit.conftest import read_image, write_image
from tests.conftest import PhotoFolder, RunZoo, draw_photo


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_manifest_keeps_near_duplicates_together_trains_and_notices_changes(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    root = photo_folder({"a": 30, "b, c": 30})
    for number in range(6):
        larger = cv2.resize(read_image(root / "a" / f"photo_{number:03d}.jpg"), None, fx=1.5, fy=1.5)
        write_image(root / "a" / f"larger_{number:03d}.jpg", larger)
    (root / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "attribution.csv").write_text("path,label,licence\na/photo_000.jpg,a,CC BY 2.0\n")
    done = run_zoo("data", "split", root, "--out", "lists/split.csv")
    assert done.code == 0, done.err
    assert "12 photos form 6 groups of related photos" in done.out
    assert "1 file(s) left out, for example a/broken.jpg: truncated JPEG" in done.out
    rows = rows_of(tmp_path / "lists" / "split.csv")
    assert len(rows) == 66
    split_of = {Path(row["path"]).name: row["split"] for row in rows if row["label"] == "a"}
    assert all(split_of[f"photo_{n:03d}.jpg"] == split_of[f"larger_{n:03d}.jpg"] for n in range(6))
    assert {row["split"] for row in rows if row["label"] == "b, c"} == {"train", "val", "test"}
    card = (tmp_path / "lists" / "dataset.md").read_text()
    assert "| CC BY 2.0 | 1 |" in card
    assert "zoo data split" in card

    draw_photo(root / "a" / "photo_010.jpg", 90, 12345)
    options = ("--head-epochs", "0", "--epochs", "1")
    trained = run_zoo("train", "tiny_net", "--data", "lists/split.csv", *options)
    assert trained.code == 0, trained.err
    assert "1 file(s) changed since the manifest was written, for example '../photos/a/photo_010.jpg'" in trained.err
    assert "Near-duplicates of test images were not searched: at 32 px" in trained.err
    (run,) = (tmp_path / "runs").iterdir()
    said = {row["path"]: row["split"] for row in rows_of(run / "split.csv")}
    assert said == {row["path"]: row["split"] for row in rows}


def test_copies_and_links_are_folders_to_train_on(photo_folder: PhotoFolder, run_zoo: RunZoo, tmp_path: Path) -> None:
    root = photo_folder({"a": 12, "a2": 12})
    (root / "a" / "more").mkdir()
    draw_photo(root / "a" / "more" / "PHOTO_000.jpg", 3, 99)
    assert run_zoo("data", "split", root, "--link", "linked", "--out", "one.csv").code == 0
    assert run_zoo("data", "split", root, "--copy", "copied", "--out", "two.csv").code == 0
    linked = sorted((tmp_path / "linked").rglob("*.jpg"))
    copied = sorted((tmp_path / "copied").rglob("*.jpg"))
    assert [path.relative_to(tmp_path / "linked") for path in linked] == [
        path.relative_to(tmp_path / "copied") for path in copied
    ]
    assert len(linked) == 25
    assert all(path.is_symlink() and path.resolve().is_relative_to(root.resolve()) for path in linked)
    assert not any(path.is_symlink() for path in copied)
    assert {path.read_bytes() for path in copied} == {path.read_bytes() for path in root.rglob("*.jpg")}
    assert len(list(root.rglob("*.jpg"))) == 25


def test_what_a_manifest_names_is_kept(photo_folder: PhotoFolder, run_zoo: RunZoo, tmp_path: Path) -> None:
    root = photo_folder({"a": 20, "b": 20})
    assert run_zoo("data", "split", root, "--out", "old.csv").code == 0
    old = {row["sha256"]: row["split"] for row in rows_of(tmp_path / "old.csv")}
    for number in range(20):
        draw_photo(root / "a" / f"new_{number}.jpg", 0, 5000 + number)
    held_out = next(row for row in rows_of(tmp_path / "old.csv") if row["split"] == "test")
    larger = cv2.resize(read_image(tmp_path / held_out["path"]), None, fx=1.5, fy=1.5)
    write_image(root / held_out["label"] / "larger.jpg", larger)
    smaller = root / held_out["label"] / "smaller.jpg"  # in another split than the photo that it repeats
    write_image(smaller, cv2.resize(larger, None, fx=0.5, fy=0.5))
    with (tmp_path / "old.csv").open("a") as file:
        digest = hashlib.sha256(smaller.read_bytes()).hexdigest()
        file.write(f"{smaller.relative_to(tmp_path)},{held_out['label']},train,{digest}\n")
    (root / "b" / "photo_000.jpg").rename(root / "b" / "renamed.jpg")
    (root / "b" / "photo_001.jpg").unlink()

    done = run_zoo("data", "split", root, "--keep", "old.csv", "--out", "new.csv")
    assert done.code == 0, done.err
    assert "Kept as in old.csv: 40. New: 21. Missing: 1." in done.out
    assert "1 group(s) of related photos are in several splits" in done.out
    assert "New photos of such a group go to test if it has photos there" in done.out
    new = rows_of(tmp_path / "new.csv")
    assert {row["sha256"]: row["split"] for row in new if row["sha256"] in old}.items() <= old.items()
    assert {row["split"] for row in new if row["path"].endswith("larger.jpg")} == {"test"}
    assert {row["split"] for row in new if "new_" in row["path"]} >= {"train", "test"}
    assert "Kept as in old.csv" in (tmp_path / "dataset.md").read_text()

    before = (tmp_path / "new.csv").read_bytes()
    done = run_zoo("data", "split", root, "--keep", "new.csv", "--out", "new.csv")
    assert done.code == 2
    assert "--keep reads this file" in done.err
    assert (tmp_path / "new.csv").read_bytes() == before
    done = run_zoo("data", "split", photo_folder({"c": 4, "d": 4}, name="others"), "--keep", "new.csv")
    assert done.code == 4
    assert "None of the 61 photos listed in 'new.csv' is in" in done.err
    assert not (tmp_path / "manifest.csv").exists()


def test_nothing_is_written_over(photo_folder: PhotoFolder, run_zoo: RunZoo, tmp_path: Path) -> None:
    root = photo_folder({"a": 12, "b": 12})
    (tmp_path / "manifest.csv").write_text("mine")
    done = run_zoo("data", "split", root)
    assert done.code == 2
    assert "manifest.csv already exists" in done.err
    assert (tmp_path / "manifest.csv").read_text() == "mine"
    done = run_zoo("data", "split", root, "--out", "new.csv", "--copy", root)
    assert done.code == 2
    assert not (tmp_path / "new.csv").exists()
    done = run_zoo("data", "split", root, "--out", "made/new.csv", "--copy", "made")
    assert done.code == 2
    assert "would be inside made" in done.err
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--test", "0.7", "--val", "0.3"], 2, "leave a share of 0 for training"),
        (["--test", "-0.1"], 2, "--test -0.1"),
        (["--group-by", "("], 2, "not a valid regular expression"),
        (["--group-by", "subject"], 2, "matches none"),
        (["--group-by", "photo"], 4, "has only 1 unrelated photo or group"),
    ],
)
def test_bad_input_leaves_nothing(
    arguments: list[str], code: int, said: str, photo_folder: PhotoFolder, run_zoo: RunZoo, tmp_path: Path
) -> None:
    done = run_zoo("data", "split", photo_folder({"a": 4, "b": 4}), *arguments)
    assert done.code == code, done.err
    assert said in done.err
    assert not (tmp_path / "manifest.csv").exists()
    assert not (tmp_path / "dataset.md").exists()


def test_training_says_which_test_images_leak(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    root = photo_folder({"train/a": 12, "train/b": 12, "test/a": 6, "test/b": 6})
    for number in range(3):
        original = read_image(root / "train" / "a" / f"photo_{number:03d}.jpg")
        write_image(root / "test" / "a" / f"copy_{number}.jpg", original[:, ::-1])
    (root / "test" / "a" / "copy_3.jpg").write_bytes((root / "train" / "a" / "photo_003.jpg").read_bytes())
    done = run_zoo("train", "tiny_net", "--data", root, "--size", "96", "--head-epochs", "0", "--epochs", "1")
    assert done.code == 0, done.err
    assert "WARNING: 4 of 16 test images (25 %) have a near-duplicate in train or val" in done.err
    assert done.err.count("too high") == 1, "what has the same bytes is told with the others"
    assert "not searched" not in done.err
    assert "Without the 4 test images that have a near-duplicate in train or val:" in done.out
    (run,) = (tmp_path / "runs").iterdir()
    assert {row["test"] for row in rows_of(run / "leaks.csv")} == {f"test/a/copy_{number}.jpg" for number in range(4)}
    assert "have a near-duplicate in train or val" in (run / "report.html").read_text()
