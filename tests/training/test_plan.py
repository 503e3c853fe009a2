"""The plan of a run, and whether a resumed run is requested with other settings. These tests train nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made_runs import begin_run
from zoo.errors import UsageError
from zoo.run_folder import Run, open_run
from zoo.training.plan import refuse_other_plan
from zoo.workflows.planning import TrainRequest, make_plan


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(architecture: str, **asked: Any) -> Run:
    """A run as recorded by ``zoo train`` before the training."""
    plan = make_plan(TrainRequest(architecture=architecture, **asked), None)
    run = begin_run(
        Path("runs"),
        architecture=architecture,
        data={"source": plan.source},
        recipe_name=plan.recipe_name,
        recipe=plan.recipe.as_dict(),
        image=plan.image.as_dict(),
        weights=plan.weights,
        options=plan.options,
        seed=plan.seed,
        split_seed=plan.split_seed,
    )
    return open_run(run.path)


def test_a_recipe_file_that_was_edited_is_refused() -> None:
    file = Path("quick.yaml")
    file.write_text("epochs: 3\nlearning_rate: 0.002\n")
    run = started("simple_cnn", recipe="quick.yaml", settings={"batch_size": 8})
    refuse_other_plan(run, {"recipe": "./quick.yaml", "batch_size": 8})
    file.write_text("epochs: 3\nlearning_rate: 0.2\nmixup_alpha: 0.1\n")
    with pytest.raises(UsageError) as refused:
        refuse_other_plan(run, {"recipe": "quick.yaml", "batch_size": 8})
    assert "learning_rate: 0.002 in the run, 0.2 requested; mixup_alpha: 0.0 in the run, 0.1 requested." in str(
        refused.value
    )


def test_another_file_with_the_same_recipe_will_do() -> None:
    Path("one.yaml").write_text("epochs: 3\n")
    run = started("simple_cnn", recipe="one.yaml")
    Path("two.yaml").write_text("base: default\nepochs: '3'\n")
    refuse_other_plan(run, {"recipe": "two.yaml"})
    refuse_other_plan(run, {"recipe": "default", "epochs": 3})
    with pytest.raises(UsageError, match="epochs: 3 in the run, 500 requested"):
        refuse_other_plan(run, {"recipe": "article"})


def test_the_same_weights_and_some_of_the_options_are_no_other_plan() -> None:
    np.savez("w.npz", x=np.zeros(1))
    np.savez("other.npz", x=np.zeros(1))
    run = started("mobilenetv2", weights="w.npz", options={"width": 0.5, "dropout": 0.1})
    for same in ({"weights": "./w.npz"}, {"options": {"width": 0.5}}, {"options": {"width": 0.5, "dropout": 0.1}}):
        refuse_other_plan(run, same)
    with pytest.raises(UsageError, match=r"weights: '.*/w\.npz' in the run, '.*/other\.npz' requested"):
        refuse_other_plan(run, {"weights": "other.npz"})
    with pytest.raises(UsageError, match=r"option width: 0\.5 in the run, 1 requested"):
        refuse_other_plan(run, {"options": {"width": 1, "dropout": 0.1}})
    with pytest.raises(UsageError, match=r"option depth: not set in the run, 2 requested"):
        refuse_other_plan(run, {"options": {"depth": 2}})


def test_what_else_differs_is_shown() -> None:
    run = started("simple_cnn", seed=1)
    refuse_other_plan(run, {"architecture": "simple_cnn", "seed": 1, "data": "digits", "weights": "none"})
    with pytest.raises(UsageError, match="architecture: 'simple_cnn' in the run, 'mobilenetv2' requested; seed: 1 in"):
        refuse_other_plan(run, {"architecture": "mobilenetv2", "seed": 2})


@pytest.mark.parametrize("name", ["imagenet", "none"])
def test_a_file_in_the_way_is_not_taken_for_weights_of_that_name(name: str) -> None:
    Path(name).write_text("a list of mine")
    assert make_plan(TrainRequest(architecture="mobilenetv2", weights=name), None).weights == name


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: " + "{a: " * 5000,
        "learning_rate: [1]",
        "? [1, 2]\n: 3",
        "a: &a [x, x]\nb: &b [*a, *a, *a, *a]\nlearning_rate: [*b, *b, *b]",
        "\0",
    ],
)
def test_a_recipe_that_is_no_flat_mapping_is_refused(text: str) -> None:
    Path("deep.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"recipe 'deep\.yaml'") as caught:
        make_plan(TrainRequest(architecture="simple_cnn", recipe="deep.yaml"), None)
    assert len(str(caught.value)) < 1000
