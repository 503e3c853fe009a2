"""Images are not mirrored if a class would become another: evidence by names, by images and by the dataset."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import RunZoo
from tests.training.arrows import write_arrows
from zoo import ImageSpec, Recipe, UsageError
from zoo.augmentation import NAMED, Flip
from zoo.data import ImageData, load_data
from zoo.run_folder import open_run
from zoo.run_folder.info import FlipInfo
from zoo.training.mirroring import choose_flip
from zoo.training.mirroring.measure import measured_swap
from zoo.training.mirroring.names import named_swap
from zoo.training.mirroring.way import Way
from zoo.training.plan import refuse_other_plan
from zoo.workflows.planning import TrainRequest, make_plan

SMALL = ImageSpec(height_px=32, width_px=32)


@pytest.fixture(scope="module")
def arrows(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> ImageData:
    """Arrows to the left and to the right whose class names are neutral."""
    return load_data(str(write_arrows(tmp_path_factory.mktemp("arrows"), ("A", "B"), count=75)), SMALL)


@pytest.mark.parametrize(
    ("labels", "way"),
    [
        (["turn_left", "turn_right"], "horizontal"),
        (["straight", "TurnLeft", "TurnRight"], "horizontal"),
        (["hand-L", "hand-R"], "horizontal"),
        (["Links", "Rechts"], "horizontal"),
        (["izquierda", "derecha", "recto"], "horizontal"),
        (["tourner à gauche", "tourner à droite"], "horizontal"),
        (["vänster", "höger"], "horizontal"),
        (["左转", "右转"], "horizontal"),
        (["налево", "направо"], "horizontal"),
        (["b", "d", "x"], "horizontal"),
        (["P", "Q"], "horizontal"),
        (["up_left", "down_left"], "vertical"),
        (["arriba", "abajo"], "vertical"),
        (["6", "9"], "vertical"),
        (["6", "9"], "turn"),
        (["upper_left", "lower_right"], "turn"),
    ],
)
def test_names_that_tell_of_a_mirror_image(labels: list[str], way: Way) -> None:
    assert set(named_swap(labels, way) or ()) <= set(labels)
    assert named_swap(labels, way)


@pytest.mark.parametrize(
    ("labels", "way"),
    [
        (["bright", "cleft"], "horizontal"),
        (["left_lung", "right_kidney"], "horizontal"),
        (["leftover", "rightful"], "horizontal"),
        (["rugby", "soccer"], "horizontal"),
        (["up", "down"], "horizontal"),
        (["left", "right"], "vertical"),
        (["board", "dog"], "horizontal"),
        (["6", "9"], "horizontal"),
        (["left"], "horizontal"),
    ],
)
def test_names_that_tell_nothing(labels: list[str], way: Way) -> None:
    assert named_swap(labels, way) is None


def test_arrows_are_found_by_their_pixels_in_the_way_that_swaps_them(arrows: ImageData, tmp_path: Path) -> None:
    found = measured_swap(arrows, "horizontal")
    assert found
    assert {found.label, found.other} == {"A", "B"}
    assert found.changed > 0.6 * found.images
    assert found.unchanged < 0.2 * found.images
    assert measured_swap(arrows, "turn")
    assert measured_swap(arrows, "vertical") is None
    for number, name in enumerate(arrows.names):
        path = tmp_path / arrows.labels[arrows.classes[number]] / Path(name).name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), cv2.rotate(cv2.imread(str(arrows.root / name)), cv2.ROTATE_90_CLOCKWISE))
    upright = load_data(str(tmp_path), SMALL)
    assert measured_swap(upright, "vertical")
    assert measured_swap(upright, "horizontal") is None


@pytest.mark.parametrize("way", ["horizontal", "vertical", "turn"])
def test_few_arrows_and_a_third_class_are_enough(way: Way, tmp_path: Path) -> None:
    write_arrows(tmp_path / "few", ("A", "B"), count=40, seed=5)
    random = np.random.default_rng(0)
    (tmp_path / "few" / "C").mkdir()
    for number in range(40):
        image = np.full((64, 64, 3), random.integers(0, 256, 3), np.uint8)
        cv2.circle(image, random.integers(16, 48, 2).tolist(), int(random.integers(6, 14)), (255, 255, 255), 2)
        cv2.imwrite(str(tmp_path / "few" / "C" / f"{number}.png"), image)
    found = measured_swap(load_data(str(tmp_path / "few"), SMALL), way)
    assert (found is None) == (way == "vertical")
    assert found is None or {found.label, found.other} == {"A", "B"}


def test_where_an_object_lies_is_enough(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for label, low in (("near", 6), ("far", 38)):
        (tmp_path / label).mkdir()
        for number in range(40):
            image = random.integers(90, 120, (64, 64, 3)).astype(np.uint8)
            centre = (int(random.integers(low, low + 20)), int(random.integers(8, 56)))
            cv2.circle(image, centre, int(random.integers(3, 8)), random.integers(130, 256, 3).tolist(), -1)
            cv2.imwrite(str(tmp_path / label / f"{number}.png"), image)
    data = load_data(str(tmp_path), SMALL)
    assert measured_swap(data, "horizontal")
    assert measured_swap(data, "vertical") is None


@pytest.mark.parametrize("count", [2, 7, 8, 30])
def test_images_that_say_nothing_raise_no_alarm(arrows: ImageData, count: int) -> None:
    images = np.full((2 * count, 16, 16, 3), 90, np.uint8)
    classes = np.repeat([0, 1], count)
    even = replace(arrows, classes=classes, splits=("train",) * len(classes), pixels=InMemory(images))  # type: ignore[arg-type]
    assert measured_swap(even, "horizontal") is None


def read_small(folder: Path) -> tuple[list[np.ndarray], list[int], tuple[str, ...]]:
    labels = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    images, classes = [], []
    for place, label in enumerate(labels):
        for path in sorted((folder / label).iterdir()):
            image = cv2.imread(str(path), cv2.IMREAD_REDUCED_COLOR_4)
            if image is not None:
                images.append(cv2.resize(image[..., ::-1], (32, 32), interpolation=cv2.INTER_AREA))
                classes.append(place)
    return images, classes, labels


class InMemory:
    """Pixels of a dataset in memory."""

    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self.images = np.stack(images)

    def read(self, chosen: np.ndarray) -> np.ndarray:
        return self.images[chosen]


@pytest.mark.parametrize(
    "name", ["rugby_soccer/train", "ccby_coarse", "hymenoptera_small/train", "trashnet/train", "flowers5/train"]
)
def test_photos_of_things_raise_no_alarm(shared_data: Path, arrows: ImageData, name: str) -> None:
    images, classes, labels = read_small(shared_data / name)
    data = replace(
        arrows,
        labels=labels,
        classes=np.array(classes, np.int64),
        splits=("train",) * len(classes),
        pixels=InMemory(images),  # type: ignore[arg-type]
    )
    ways: tuple[Way, ...] = ("horizontal", "vertical", "turn")
    assert [measured_swap(data, way) for way in ways] == [None, None, None]
    assert choose_flip(Recipe(), data, "auto") == FlipInfo(asked="auto", chosen="horizontal", warning="")


@pytest.mark.parametrize(("flip", "chosen"), [("auto", "none"), ("horizontal", "horizontal"), ("vertical", "vertical")])
def test_requested_values_have_precedence_over_others(arrows: ImageData, flip: Flip, chosen: Flip) -> None:
    choice = choose_flip(Recipe().with_values({"flip": flip}), arrows, "auto")
    assert (choice.asked, choice.chosen) == (flip, chosen)
    assert ("look like" in choice.warning) == (flip != "vertical")
    assert ("--flip horizontal" in choice.warning) == (flip == "auto")


def test_a_rotation_that_turns_images_upside_down_is_checked_too(arrows: ImageData) -> None:
    recipe = Recipe(augmentation="none")
    assert "turned upside down" in choose_flip(recipe.with_values({"rotation_degrees": 180}), arrows, "auto").warning
    assert choose_flip(recipe.with_values({"rotation_degrees": 30}), arrows, "auto").warning == ""


def test_a_data_set_that_declares_its_flip_is_not_measured(arrows: ImageData) -> None:
    assert choose_flip(Recipe(), arrows, "horizontal").chosen == "horizontal"
    declared = choose_flip(Recipe(), arrows, "none")
    assert declared.chosen == "none"
    assert "--flip horizontal" in declared.warning


def test_a_recipe_file_and_the_command_line_set_single_ranges(run_zoo: RunZoo, tmp_path: Path) -> None:
    (tmp_path / "calm.yaml").write_text("flip: none\nview: 0.9,1.1\naugmentation: article\n")
    asked = TrainRequest(architecture="simple_cnn", recipe=str(tmp_path / "calm.yaml"), settings={"shift": 0.0})
    ranges = make_plan(asked, None).recipe.ranges
    assert ranges == replace(NAMED["article"], flip="none", view=(0.9, 1.1), shift=0.0)
    refused = run_zoo("train", "simple_cnn", "--flip", "sideways")
    assert refused.code == 2
    assert "auto, none, horizontal, vertical, both" in refused.err
    refused = run_zoo("train", "simple_cnn", "--view", "1.2,0.8")
    assert refused.code == 2
    assert "the smaller one first" in refused.err


@pytest.mark.long
def test_arrows_are_learnt_by_a_plain_command(run_zoo: RunZoo, tmp_path: Path) -> None:
    write_arrows(tmp_path / "arrows", ("A", "B"))
    done = run_zoo(
        "train", "simple_cnn", "--size", "24", "--data", "arrows", "--epochs", "80", "--precision", "float32"
    )
    assert done.code == 0, done.err
    assert "Images are not mirrored" in done.err
    (path,) = (tmp_path / "runs").iterdir()
    run = open_run(path)
    assert run.metrics.accuracy >= 0.8  # with mirroring, at most 0.75
    assert run.info.flip.asked == "auto"
    assert run.recipe.ranges.flip == run.info.flip.chosen == "none"
    page = (path / "report.html").read_text()
    assert "Images are not mirrored" in page
    assert "mirrored and coloured" not in page
    assert run.info.asked_recipe.ranges.flip == "auto"
    again = make_plan(TrainRequest(), run)
    assert again.recipe == run.info.asked_recipe
    for asked in ({}, {"flip": "auto"}, {"flip": "none"}, {"augmentation": "strong"}):
        refuse_other_plan(run, asked)
    with pytest.raises(UsageError, match="flip: 'auto' in the run, 'horizontal' requested"):
        refuse_other_plan(run, {"flip": "horizontal"})


def test_the_digits_are_not_mirrored(digits_run: Path) -> None:
    run = open_run(digits_run)
    assert run.recipe.ranges.flip == "none"
    assert run.info.flip.asked == "auto"
    assert "not mirrored" in (digits_run / "report.html").read_text()


def test_a_run_of_an_earlier_version_keeps_its_mirroring(digits_run: Path, tmp_path: Path) -> None:
    shutil.copytree(digits_run, tmp_path / "old")
    info = json.loads((tmp_path / "old" / "run.json").read_text())
    info["recipe"]["augmentation"] = "strong"
    del info["flip"]
    (tmp_path / "old" / "run.json").write_text(json.dumps(info))
    run = open_run(tmp_path / "old")
    assert run.recipe == open_run(digits_run).recipe.with_values({"flip": "horizontal"})
    assert make_plan(TrainRequest(seed=1), run).recipe == run.recipe
    refuse_other_plan(run, {"augmentation": "strong", "data": "digits"})
