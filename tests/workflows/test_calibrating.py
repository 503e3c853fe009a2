"""``--calibration FOLDER``: the photos that calibrate int8, and those that are left out and counted."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import PhotoFolder, Zoo
from tests.made_runs import begin_run
from tests.workflows.test_teachers import Listener
from zoo import DataError, ImageSpec
from zoo.atomic import write_csv
from zoo.data import ImageData, load_data
from zoo.evaluation.trained import TrainedModel
from zoo.exporting.calibration import Calibration, together
from zoo.workflows.calibrating import calibrate_on

SPEC = ImageSpec(height_px=64, width_px=64)


@pytest.fixture
def data(photo_folder: PhotoFolder) -> ImageData:
    return load_data(str(photo_folder({"train/a": 8, "train/b": 8, "test/a": 3, "test/b": 3})), SPEC)


@pytest.fixture
def extra(data: ImageData, photo_folder: PhotoFolder) -> Path:
    """Five new photos, a test photo, a near-duplicate of one, a training photo, a copy, a blank image, and no image."""
    folder = photo_folder({"x/deep/new": 3, "new": 2}, "extra")
    test = [data.root / data.names[index] for index in data.indices("test")]
    shutil.copy(test[0], folder / "same.jpg")
    cv2.imwrite(str(folder / "mirrored.png"), cv2.imread(str(test[1]))[:, ::-1])
    shutil.copy(data.root / data.names[data.indices("train")[0]], folder / "trained.jpg")
    shutil.copy(folder / "new" / "photo_000.jpg", folder / "twice.jpg")
    cv2.imwrite(str(folder / "blank.jpg"), np.full((80, 80, 3), 200, np.uint8))
    (folder / "notes.txt").write_text("no photo")
    return folder


def lone(data: ImageData) -> TrainedModel:
    return TrainedModel("lone", "lone", data.labels, SPEC, load=lambda: pytest.fail("the model is not needed"))


def test_photos_of_a_run_and_of_the_folder_calibrate_in_turn(data: ImageData, extra: Path, tmp_path: Path) -> None:
    count = len(data.indices("train"))
    described = {"root": str(data.root), "source": str(data.root), "counts": {"train": {"a": count}}}
    run = begin_run(tmp_path / "runs", "run", labels=list(data.labels), data=described, image=SPEC.as_dict())
    write_csv(run.path / "split.csv", ("path", "label", "split", "sha256"), data.rows())
    trained = TrainedModel("run", "run", data.labels, SPEC, load=lambda: pytest.fail("not needed"), run=run)
    listener = Listener()
    images, calibration = calibrate_on(trained, extra, data, "test", 512, listener)
    assert images is data
    assert len(calibration.rows) == len(calibration.pixels) == count + 5
    assert [bool(label) for _, label, _ in calibration.rows[:10]] == [True, False] * 5
    told = " ".join(listener.told)
    assert (
        "5 photo(s) calibrate int8. Left out: near-duplicates of images for verification: 2; training images: 1" in told
    )
    assert "repeated files: 1; photos of a single colour: 1; unusable files: 1." in told
    contents = {sha256 for *_, sha256 in calibration.rows}
    assert not contents & {data.contents[index] for index in data.indices("test")}
    alone = calibrate_on(trained, None, data, "test", 512, listener)[1]
    assert len(alone.rows) == count
    every = replace(data, splits=("test",) * len(data.splits))  # such as --data with the folder of the training images
    judged, calibration = calibrate_on(trained, None, every, "test", 6, listener)
    contents = {sha256 for *_, sha256 in calibration.rows}
    assert judged is not None
    assert len(contents) == 6
    assert not contents & {judged.contents[index] for index in judged.indices("test")}
    total = len(data.names)
    assert f"6 of {total} images calibrate int8. All files are verified on the {total - 6} others." in listener.told
    only = every.at(data.indices("train"))
    with pytest.raises(DataError, match=f"All {count} images for verification calibrate the 8-bit file"):
        calibrate_on(trained, None, only, "test", 512, listener)


def test_photos_of_the_folder_alone_calibrate_a_model_without_a_run(data: ImageData, extra: Path) -> None:
    listener = Listener()
    images, calibration = calibrate_on(lone(data), extra, data, "test", 512, listener)
    assert images is data  # none of them is taken away for calibration
    assert len(calibration.rows) == 6
    assert "calibrated on 6 photo(s) only" in listener.warned[0]
    again = calibrate_on(lone(data), extra, None, "test", 512, Listener())[1]
    assert len(again.rows) > 6  # no photo is kept for the verification
    listener = Listener()
    halved, half = calibrate_on(lone(data), None, data, "test", 512, listener)
    assert halved is not None
    assert 0 < len(half.rows) < len(data.names)
    assert f"calibrated on {len(half.rows)} photo(s) only" in listener.warned[0]


def test_a_folder_of_which_no_photo_is_left_is_named(data: ImageData, tmp_path: Path) -> None:
    folder = tmp_path / "blank"
    folder.mkdir()
    for value in (0, 255):
        cv2.imwrite(str(folder / f"{value}.png"), np.full((80, 80, 3), value, np.uint8))
    with pytest.raises(DataError, match=r"No photo in .*blank.*photos of a single colour: 2"):
        calibrate_on(lone(data), folder, data, "test", 512, Listener())


def test_one_photo_is_used_and_warned_about(data: ImageData, photo_folder: PhotoFolder) -> None:
    listener = Listener()
    calibration = calibrate_on(lone(data), photo_folder({"new": 1}, "one"), data, "test", 512, listener)[1]
    assert calibration.pixels.shape == (1, *SPEC.input_shape)
    assert "1 photo(s) only" in listener.warned[0]


def test_both_kinds_share_the_places_there_are() -> None:
    one, other = (
        Calibration(np.full((n, 2, 2, 3), n, np.uint8), tuple((f"{n}-{place}", "", str(place)) for place in range(n)))
        for n in (9, 3)
    )
    mixed = together(one, other, 8)
    assert [name for name, *_ in mixed.rows] == ["9-0", "3-0", "9-1", "3-1", "9-2", "3-2", "9-3", "9-4"]
    assert mixed.pixels[:, 0, 0, 0].tolist() == [9, 3, 9, 3, 9, 3, 9, 9]
    assert len(together(one, other, 512).rows) == 12


def test_an_option_without_effect_is_refused(zoo: Zoo, tmp_path: Path) -> None:
    said = zoo("export", "simple_cnn", "--runs", tmp_path, "--calibration", tmp_path)
    assert said.code == 2
    assert "has no effect without --precision int8" in said.err
