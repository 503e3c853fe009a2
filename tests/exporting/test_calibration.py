"""The photos for the calibration of int8: some of every class, always the same, and none of the verification."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import PhotoFolder, draw_photo
from zoo.data import TEST, TRAIN, ImageData, load_data, load_for_evaluation
from zoo.errors import DataError, ExportError
from zoo.evaluation.recorded import recorded_images
from zoo.exporting.calibration import choose, halve
from zoo.image_spec import ImageSpec
from zoo.run_folder import Run, open_run

SPEC = ImageSpec(height_px=24, width_px=24)


@pytest.fixture
def data(photo_folder: PhotoFolder) -> ImageData:
    """Three classes, one of which is rare."""
    return load_data(str(photo_folder({"train/a": 30, "train/b": 30, "train/c": 4, "test/a": 9, "test/b": 9})), SPEC)


def test_every_class_has_the_same_share_and_a_rare_one_all_images(data: ImageData) -> None:
    chosen = choose(data, 0, 20)
    training = Counter(data.labels[index] for index in data.classes[data.indices(TRAIN)])
    assert min(training.values()) == training["c"] <= 4
    counts = Counter(label for _, label, _ in chosen.rows)
    assert sum(counts.values()) == 20
    assert counts["c"] == training["c"]
    assert abs(counts["a"] - counts["b"]) <= 1


def test_only_training_images_are_taken_and_the_list_says_which(data: ImageData) -> None:
    chosen = choose(data, 0, 1000)
    training = data.indices(TRAIN)
    assert sorted(name for name, *_ in chosen.rows) == sorted(data.names[index] for index in training)
    assert len(chosen.pixels) == len(chosen.rows)
    for (name, label, sha256), pixels in zip(chosen.rows, chosen.pixels, strict=True):
        file = Path(data.root) / name
        assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
        assert file.parent.name == label
        assert file.parts[-3] == "train"
        np.testing.assert_array_equal(pixels, data.pixels.read([data.names.index(name)])[0])


def test_the_choice_is_seeded(data: ImageData) -> None:
    one, same, other = choose(data, 5, 10), choose(data, 5, 10), choose(data, 6, 10)
    assert one.rows == same.rows
    assert one.digest == same.digest
    np.testing.assert_array_equal(one.pixels, same.pixels)
    assert {row[2] for row in one.rows} != {row[2] for row in other.rows}
    assert one.digest != other.digest


def test_without_training_images_there_is_no_calibration(data: ImageData) -> None:
    only_tests = replace(data, splits=(TEST,) * len(data.names))
    with pytest.raises(ExportError, match="int8 needs photos to measure the range of every tensor") as told:
        choose(only_tests, 0, 20)
    assert "Random noise is not suitable." in str(told.value)


def test_a_run_is_calibrated_on_what_it_was_trained_on(digits_run: Path) -> None:
    run = open_run(digits_run)
    images = recorded_images(run, TRAIN)
    trained_on = {row["sha256"] for row in run.split() if row["split"] == "train"}
    assert set(images.contents) == trained_on
    chosen = choose(images, run.seed, 512)
    assert {sha256 for *_, sha256 in chosen.rows} <= trained_on
    assert set(Counter(label for _, label, _ in chosen.rows).values()) == {51, 52}


def test_a_run_whose_training_images_changed_is_told_so(digits_run: Path, photo_folder: PhotoFolder) -> None:
    run = open_run(digits_run)
    moved = photo_folder({"a": 2}, name="moved")
    changed = Run(run.path, replace(run.info, data=replace(run.info.data, source=str(moved), root=str(moved))))
    with pytest.raises(DataError, match="no such file"):
        recorded_images(changed, TRAIN)


# Images without a run: one half for the calibration and one for the verification


@pytest.fixture
def unsplit(photo_folder: PhotoFolder) -> ImageData:
    root = photo_folder({"a": 20, "b": 11, "c": 1})
    # The same image under two names.
    shutil.copy(root / "a" / "photo_000.jpg", root / "a" / "again.jpg")
    return load_for_evaluation(str(root), SPEC, ("a", "b", "c"))


def sides(data: ImageData) -> tuple[set[str], set[str]]:
    """The contents for the calibration, and those for the verification."""
    found = {split: {data.contents[index] for index in data.indices(split)} for split in (TRAIN, TEST)}
    return found[TRAIN], found[TEST]


def test_halves_share_no_picture_whatever_it_is_called(unsplit: ImageData) -> None:
    halved = halve(unsplit)
    calibrating, verifying = sides(halved)
    assert not calibrating & verifying
    assert calibrating | verifying == set(unsplit.contents)
    assert len(unsplit.names) == 33
    assert abs(len(calibrating) - len(verifying)) <= 1
    for label, images in (("a", 20), ("b", 11)):
        of_class = {content for content, name in zip(halved.contents, halved.names, strict=True) if name[0] == label}
        assert abs(len(of_class & calibrating) - images / 2) <= 0.5


def test_halves_stay_when_files_are_renamed(unsplit: ImageData) -> None:
    root = Path(unsplit.root)
    for number, path in enumerate(sorted((root / "a").iterdir(), reverse=True)):
        path.rename(path.with_name(f"other_{number}.jpg"))
    renamed = load_for_evaluation(str(root), SPEC, unsplit.labels)
    assert renamed.names != unsplit.names
    assert sides(halve(renamed)) == sides(halve(unsplit))


def test_one_picture_cannot_be_halved(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 1})
    shutil.copy(root / "a" / "photo_000.jpg", root / "a" / "again.jpg")
    data = load_for_evaluation(str(root), SPEC, ("a", "b"))
    with pytest.raises(ExportError, match=r"contains 1 usable image\(s\)\. Calibration and verification need"):
        halve(data)
    draw_photo(root / "b" / "first.jpg", 90, 1)
    assert [len(side) for side in sides(halve(load_for_evaluation(str(root), SPEC, ("a", "b"))))] == [1, 1]
