"""The images that are used if the user names none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.report.conftest import draw_photos, write_run
from zoo.atomic import write_csv, write_json
from zoo.errors import DataError, TrainingError, UsageError
from zoo.evaluation.threshold import Choice
from zoo.evaluation.trained import TrainedModel, of_run
from zoo.image_spec import ImageSpec
from zoo.parity import unused_images, verification_images
from zoo.parity.unused import Unused, choice_of_file, recorded_choice
from zoo.run_folder import Run, open_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    photos = draw_photos(tmp_path / "photos", ("rugby", "soccer"), 10)
    small = {"image": ImageSpec(height_px=32, width_px=32).as_dict()}
    return write_run(tmp_path / "runs", tmp_path / "photos", photos, info=small)


def without(run: Run, *splits: str) -> None:
    rows = [tuple(row.values()) for row in run.split() if row["split"] not in splits]
    write_csv(run.path / "split.csv", ("path", "label", "split", "sha256"), rows)


def test_the_test_split_then_the_validation_split_then_none(run: Run) -> None:
    images, split = verification_images(of_run(run))
    assert (split, len(images.names), images.spec) == ("test", 8, run.image_spec)
    without(run, "test")
    images, split = verification_images(of_run(run))
    assert (split, len(images.names)) == ("val", 4)
    without(run, "test", "val")
    with pytest.raises(UsageError, match="neither test nor validation"):
        verification_images(of_run(run))


def test_given_images_come_before_the_run_s(run: Run, tmp_path: Path) -> None:
    draw_photos(tmp_path / "others", ("a", "b"), 3)
    (tmp_path / "others" / "class0").rename(tmp_path / "others" / "soccer")
    (tmp_path / "others" / "class1").rename(tmp_path / "others" / "rugby")
    images, split = verification_images(of_run(run), str(tmp_path / "others"))
    assert (split, len(images.names), images.labels) == ("test", 6, ("rugby", "soccer"))
    (tmp_path / "others" / "rugby").rename(tmp_path / "others" / "cricket")
    with pytest.raises(DataError, match="was not trained on the class\\(es\\) 'cricket'"):
        verification_images(of_run(run), str(tmp_path / "others"))


def test_pretrained_weights_bring_no_images() -> None:
    bare = TrainedModel("mobilenetv2 (imagenet)", "mobilenetv2", ("cat", "dog"), ImageSpec(), lambda: None)
    with pytest.raises(UsageError, match="There are no images to verify mobilenetv2"):
        verification_images(bare)


def test_images_without_a_part_in_an_8_bit_file_count_for_agreement(run: Run) -> None:
    trained = of_run(run)
    by_split: dict[str, list[str]] = {}
    for row in run.split():
        by_split.setdefault(row["split"], []).append(row["sha256"])
    calibrating = set(by_split["train"][:3])
    found = unused_images(trained, by_split["test"], calibrating)
    assert found is not None
    assert sorted(found.contents) == sorted({*by_split["val"], *by_split["train"]} - calibrating)
    assert found.splits[: len(by_split["val"])] == ("val",) * len(by_split["val"])
    unlisted = unused_images(trained, by_split["test"], None)
    assert unlisted is not None
    assert sorted(unlisted.contents) == sorted(by_split["val"])
    assert unused_images(trained, [*by_split["test"], *by_split["val"]], None) is None
    assert unused_images(TrainedModel("lone.keras", "lone", ("a", "b"), ImageSpec(), lambda: None), [], set()) is None


def test_a_file_chooses_thresholds_on_validation_images_unless_the_model_was_trained_on_them(run: Run) -> None:
    found = unused_images(of_run(run), [row["sha256"] for row in run.split() if row["split"] == "test"], None)
    assert found is not None
    data = found.at(np.arange(40) % len(found.names))
    right = np.linspace(0.3, 1, 40)
    outputs = np.where(data.classes[:, None] == [0, 1], right[:, None], 1 - right[:, None]).astype(np.float32)
    unused = Unused(data, outputs)
    recorded = Choice((0.99, 0.7), (), 40)
    own = choice_of_file(recorded, unused, outputs)
    assert own is not None
    assert (own.by, own.images) == ("val", 40)
    assert own.default == pytest.approx((0.85, 0.64), abs=0.03)
    assert choice_of_file(replace(recorded, by="folds"), unused, outputs) == replace(recorded, by="folds")
    assert choice_of_file(recorded, None, None) == recorded
    assert choice_of_file(None, unused, outputs) is None


def test_a_file_takes_the_thresholds_that_the_run_s_validation_images_chose(run: Run) -> None:
    assert recorded_choice(run) is None  # measured without validation images, as older runs are
    point = {"target_accuracy": 0.98, "suggested": 0.7, "coverage": 0.9, "accuracy": 0.98}
    record = {**point, "chosen_on": "val", "chosen_images": 40, "images": 8, "curve": [point | {"suggested": 0.6}]}
    write_json(run.path / "metrics.json", run.metrics.as_dict() | {"min_confidence": record})
    assert recorded_choice(open_run(run.path)) == Choice((0.98, 0.7), ((0.98, 0.6),), 40)
    write_json(run.path / "metrics.json", run.metrics.as_dict() | {"min_confidence": record | {"curve": [1]}})
    with pytest.raises(TrainingError, match=r"min_confidence\.curve"):
        recorded_choice(open_run(run.path))
