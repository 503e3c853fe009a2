"""Settings without effect are refused or reported, however they are given. These tests train nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.made_runs import begin_run
from zoo import Recipe, UsageError
from zoo.recipe import FIELDS
from zoo.run_folder import Run
from zoo.training.effects import effect_notes, refuse_without_effect
from zoo.training.plan import Plan
from zoo.workflows.planning import TrainRequest, make_plan


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(architecture: str | None, asked: Mapping[str, Any], repeated: Run | None = None) -> Plan:
    settings = {name: value for name, value in asked.items() if name in FIELDS}
    others = {name: value for name, value in asked.items() if name not in FIELDS}
    return make_plan(TrainRequest(architecture=architecture, settings=settings, **others), repeated)


#: Architecture, settings, fields without effect, and a part of the reason.
IDLE: list[tuple[str, dict[str, Any], list[str], str]] = [
    ("simple_cnn", {"optimizer": "adam", "weight_decay": 0.1}, ["weight_decay"], "adam does not decay weights"),
    ("mobilenetv2", {"weight_decay": 0.1}, ["weight_decay"], "in closed form"),
    ("mobilenetv2", {"optimizer": "sgd", "dropout": 0.1}, ["optimizer", "dropout"], "in closed form"),
    ("mobilenetv2", {"calibrate": "none"}, ["calibrate"], "calibrated by its cross-validation"),
    ("mobilenetv2", {"learning_rate": 1e-4}, ["learning_rate"], "trains only the head"),
    ("mobilenetv2", {"min_steps": 100}, ["min_steps"], "trains only the head"),
    ("mobilenetv2", {"unfreeze": 0.3}, ["unfreeze"], "trains only the head"),
    ("mobilenetv2", {"unfreeze": 1.0}, ["unfreeze"], "trains only the head"),
    ("mobilenetv2", {"augmentation": "strong"}, ["augmentation"], "on images without augmentation"),
    ("mobilenetv2", {"flip": "horizontal", "shift": 0.1}, ["flip", "shift"], "on images without augmentation"),
    ("mobilenetv2", {"head_epochs": 9, "head_views": 4}, ["head_views"], "all views of an image are the same"),
    (
        "mobilenetv2",
        {"head_epochs": 0, "epochs": 2, "head_views": 2},
        ["head_views"],
        "no phase that trains only the head",
    ),
    ("simple_cnn", {"head_learning_rate": 0.1}, ["head_learning_rate"], "no phase that trains only the head"),
    ("simple_cnn", {"view": (1, 1), "aspect": "free"}, ["aspect"], "from 1 to 1"),
]


@pytest.mark.parametrize(("architecture", "asked", "idle", "reason"), IDLE)
def test_a_setting_without_effect_is_refused(
    architecture: str, asked: Mapping[str, Any], idle: list[str], reason: str
) -> None:
    Path("mine.yaml").write_text("".join(f"{name}: {str(value).strip('()')}\n" for name, value in asked.items()))
    for way in (dict(asked), {"recipe": "mine.yaml"}):
        with pytest.raises(UsageError) as caught:
            planned(architecture, way)
        for field in idle:
            assert f"Recipe field '{field}' has no effect: " in caught.value.message
        assert caught.value.message.count("has no effect") == len(idle)
        assert reason in caught.value.message
        assert str(caught.value.hint).endswith("or omit the field.")


@pytest.mark.parametrize(
    ("architecture", "asked"),
    [
        ("mobilenetv2", {"head_epochs": 9, "optimizer": "adamw", "weight_decay": 0.1}),
        ("mobilenetv2", {"epochs": 9, "optimizer": "adamw", "weight_decay": 0.1}),
        ("mobilenetv2", {"weight_decay": 0}),
        ("mobilenetv2", {"epochs": 4, "learning_rate": 1e-4, "unfreeze": 0.3}),
        ("mobilenetv2", {"head_epochs": 9, "augmentation": "strong", "head_views": 4}),
        ("mobilenetv2", {"epochs": 1, "augmentation": "article", "flip": "none"}),
        ("mobilenetv2", {"augmentation": "none", "head_views": 1, "flip": "none", "min_steps": 0, "unfreeze": 0}),
        ("mobilenetv2", {"recipe": "scratch"}),
        ("mobilenetv2", {"recipe": "article", "learning_rate": 1e-4, "epochs": 3}),
        ("simple_cnn", {"ema_momentum": 0.9, "mixup_alpha": 0.2, "clip_norm": 1.0, "dropout": 0.1}),
        ("simple_cnn", {"head_epochs": 0, "unfreeze": 1}),
    ],
)
def test_settings_with_an_effect_are_taken(architecture: str, asked: dict[str, Any]) -> None:
    assert planned(architecture, asked).notes == ()


def test_every_field_has_an_effect_somewhere() -> None:
    """If a head and images are trained, with weight decay, every field has an effect."""
    recipe = Recipe(optimizer="adamw", head_epochs=2, head_views=2, epochs=2)
    refuse_without_effect(recipe, FIELDS)


@pytest.mark.parametrize(
    ("architecture", "asked", "note"),
    [
        ("simple_cnn", {"epochs": 20, "warmup_epochs": 10}, "for the 20 epochs on images, it takes 4 instead of 10."),
        (
            "mobilenetv2",
            {"head_epochs": 5, "warmup_epochs": 2},
            "for the 5 epochs on the head, it takes 1 instead of 2.",
        ),
        ("simple_cnn", {"epochs": 5, "early_stopping_epochs": 5}, "waits for 5 epochs without improvement, but only 5"),
        ("mobilenetv2", {"weights": "none", "head_epochs": 3}, "keeps its random weights"),
    ],
)
def test_a_setting_that_does_less_than_it_says_is_told(architecture: str, asked: dict[str, Any], note: str) -> None:
    (said,) = planned(architecture, asked).notes
    assert note in said


def test_what_the_data_decides_is_not_guessed() -> None:
    """A recipe with a minimum number of steps may train for more epochs than it states."""
    recipe = Recipe(epochs=5, min_steps=2000, warmup_epochs=3, early_stopping_epochs=9)
    given = ("warmup_epochs", "early_stopping_epochs")
    assert effect_notes(recipe, given, "none") == []
    assert len(effect_notes(replace(recipe, min_steps=0), given, "none")) == 2


def test_an_option_of_the_architecture_that_the_recipe_overrides_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--option dropout=0\.5 has no effect: the recipe sets dropout to 0\.2\."):
        planned("mobilenetv2", {"recipe": "article", "options": {"dropout": 0.5}})
    assert planned("mobilenetv2", {"options": {"dropout": 0.5}}).options == {"dropout": 0.5}


def test_an_architecture_without_backbone_has_no_head_phase() -> None:
    with pytest.raises(UsageError, match="simple_cnn declares no backbone"):
        planned("simple_cnn", {"head_epochs": 3})


def test_a_recipe_that_is_named_counts_beside_other_weights() -> None:
    """If a pretrained run is repeated, `--weights none` uses the recipe `scratch`, unless a recipe is named."""
    plan = planned("mobilenetv2", {})
    image, recipe = plan.image.as_dict(), plan.recipe.as_dict()
    run = begin_run(Path("runs"), architecture="mobilenetv2", recipe=recipe, image=image, weights="imagenet")
    assert planned(None, {"weights": "none"}, run).recipe_name == "scratch"
    assert planned(None, {"weights": "none", "recipe": "article"}, run).recipe_name == "article"
