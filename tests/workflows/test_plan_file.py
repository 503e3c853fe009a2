"""``zoo.yaml``: ``--repeat`` repeats the settings of a run, and invalid files are refused before any training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from zoo.errors import UsageError
from zoo.workflows.plan_file import read_plan, write_plan
from zoo.workflows.planning import TrainRequest, best_pretrained, make_plan


def written(folder: Path, **asked: Any) -> Path:
    plan = make_plan(TrainRequest(**asked), None)
    write_plan(folder, plan, tensorboard=False)
    return folder / "zoo.yaml"


def test_what_a_run_writes_makes_the_same_plan(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "architecture": "simple_cnn",
        "image": {"width_px": 32, "height_px": 48, "resize": "crop"},
        "settings": {"epochs": 7, "flip": "none", "view": (0.9, 1.1), "aspect": "free", "dropout": 0.1},
        "options": {"width": 0.5},
        "seed": 3,
        "split_seed": 4,
    }
    path = written(tmp_path, **asked)
    first = make_plan(TrainRequest(**asked), None)
    again = make_plan(read_plan(path, TrainRequest()), None)
    assert vars(again) == vars(first)


def test_the_command_line_has_precedence(tmp_path: Path) -> None:
    path = written(tmp_path, architecture="simple_cnn", settings={"epochs": 7}, seed=3)
    request = TrainRequest(settings={"epochs": 2}, seed=5, image={"width_px": 20}, repeat=path, name="x")
    plan = make_plan(read_plan(path, request), None)
    assert (plan.recipe.epochs, plan.seed, plan.image.width_px) == (2, 5, 20)
    other = make_plan(read_plan(path, TrainRequest(recipe="article")), None)
    assert other.recipe == make_plan(TrainRequest(architecture="simple_cnn", recipe="article"), None).recipe


def test_a_file_of_a_few_lines_will_do(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    path = tmp_path / "balls.yaml"
    path.write_text("architecture: simple_cnn\ndata: photos\nname: balls\nrecipe: {base: article, epochs: 4}\n")
    request = read_plan(path, TrainRequest())
    assert request.data == str(tmp_path / "photos"), "a path is relative to the file"
    plan = make_plan(request, None)
    article = make_plan(TrainRequest(architecture="simple_cnn", recipe="article"), None).recipe
    assert plan.recipe == article.with_values({"epochs": 4})
    assert request.name == "balls"
    path.write_text("data: digits\n")
    assert read_plan(path, TrainRequest()).data == "digits"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n- b\n", "not a mapping"),
        ("architectur: simple_cnn\n", "Did you mean 'architecture'"),
        ("image: {widht_px: 3}\n", "Did you mean 'width_px'"),
        ("seed: soon\n", "'seed'"),
        ("image: 224\n", "'image' must be an object"),
        ("recipe: [1]\n", "'recipe'"),
        ("a: [\n", "Could not read"),
        ("[" * 100_000, "Could not read"),
        ("\0", "Could not read"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said) as caught:
        read_plan(path, TrainRequest())
    assert "zoo.yaml" in str(caught.value)
    assert len(str(caught.value)) < 1000
    with pytest.raises(UsageError, match="Could not read"):
        read_plan(tmp_path / "gone.yaml", TrainRequest())


def test_a_recorded_command_has_the_same_options() -> None:
    request = TrainRequest(
        architecture="simple_cnn",
        data="my photos",
        image={"width_px": 32, "height_px": 48, "resize": "crop"},
        settings={"view": (0.9, 1.1), "learning_rate": 0.001, "aspect": "free"},
        options={"width": 0.5},
        seed=1,
        tensorboard=True,
    )
    assert request.command() == (
        "zoo train simple_cnn --data 'my photos' --size 32x48 --resize crop --seed 1 --option width=0.5 --tensorboard"
        " --view 0.9,1.1 --learning-rate 0.001 --aspect free"
    )


def test_the_best_pretrained_architecture_is_one_that_needs_no_network() -> None:
    best = best_pretrained()
    assert best is not None
    name, top1 = best
    assert top1 >= 0.7188
    assert name in {"mobilenetv2", "efficientnet_lite2"}


def test_a_plan_file_is_plain_yaml(tmp_path: Path) -> None:
    values = yaml.safe_load(written(tmp_path, architecture="simple_cnn").read_text())
    assert values["architecture"] == "simple_cnn"
    assert values["recipe"]["epochs"] == 40
