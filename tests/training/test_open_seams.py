"""Optimizers and losses of Keras by name, and augmentation by a function of the user."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import zoo
from tests.conftest import PhotoFolder
from zoo import Recipe, TrainingError, UsageError
from zoo.augmentation import Augmentation
from zoo.training.augment import call_function
from zoo.training.check import check_recipe
from zoo.training.features import augmentation_digest
from zoo.training.loss import make_loss
from zoo.training.optimizer import make_optimizer

CHANGES = """
import numpy as np

def rain(images, random):
    drops = random.integers(0, 60, (len(images), 1, images.shape[2], 1), np.uint8)
    return np.maximum(images, drops)

def in_shares(images, random): return images / 255
def smaller(images, random): return images[:, ::2]
def nothing(images, random): images[:] = 0
def broken(images, random): raise KeyError("colour")
level = 3
"""


@pytest.fixture
def changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user on the path."""
    (tmp_path / "photo_changes.py").write_text(CHANGES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "photo_changes", raising=False)
    return "photo_changes"


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C after two epochs."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_run_with_all_three_resumes_to_the_same_weights(
    changes: str, photo_folder: PhotoFolder, tmp_path: Path
) -> None:
    settings = {
        "data": photo_folder({"train/a": 10, "train/b": 10, "val/a": 3, "val/b": 3, "test/a": 3, "test/b": 3}),
        "runs": tmp_path / "runs",
        "size": 16,
        "epochs": 4,
        "batch_size": 8,
        "mixup_alpha": 0.2,
        "precision": "float32",
        "optimizer": {"name": "rmsprop", "momentum": 0.9, "centered": True},
        "loss": {"name": "categorical_focal_crossentropy", "gamma": 1.5},
        "augmentation": {"flip": "horizontal", "function": f"{changes}:rain"},
        "quiet": True,
    }
    whole = zoo.train("simple_cnn", **settings)
    with pytest.raises(KeyboardInterrupt):
        zoo.train("simple_cnn", **settings, name="cut", callbacks=[Interrupt()])
    resumed = zoo.train(resume=tmp_path / "runs" / "cut", quiet=True)
    for one, other in zip(whole.model.weights, resumed.model.weights, strict=True):
        assert np.array_equal(one, other), one.path
    assert losses(whole.path) == losses(resumed.path)
    assert resumed.recipe.optimizer == settings["optimizer"]
    assert resumed.recipe.loss == settings["loss"]
    assert resumed.recipe.ranges == Augmentation(flip="horizontal", function=f"{changes}:rain")
    plan = (resumed.path / "zoo.yaml").read_text()
    assert f"augmentation: {changes}:rain" in plan
    assert "optimizer: {name: rmsprop, momentum: 0.9, centered: true}" in plan
    page = resumed.report.read_text()
    assert "categorical_focal_crossentropy" in page
    assert f"changed by <code>{changes}:rain</code>" in page
    with pytest.raises(UsageError, match=r"was started with other settings.*augmentation"):
        zoo.train(resume=resumed.path, augmentation="none")


def losses(run: Path) -> list[str]:
    with (run / "history.csv").open(newline="") as file:
        return [row["loss"] for row in csv.DictReader(file)]


def test_ours_are_what_they_were() -> None:
    sgd = make_optimizer(Recipe(optimizer="sgd", schedule="constant"), 1, [])
    assert (sgd.momentum, sgd.nesterov, sgd.weight_decay) == (0.9, True, 0.0)
    assert make_optimizer(Recipe(optimizer={"name": "sgd", "momentum": 0.5}), 1, []).momentum == 0.5
    assert make_loss(Recipe(label_smoothing=0.1)).get_config()["label_smoothing"] == 0.1


@pytest.mark.parametrize("name", ["nadam", "RMSprop", "rms_prop", "lion", "adafactor", "Muon", "ftrl"])
def test_any_optimizer_of_keras_takes_the_recipes_fields(name: str) -> None:
    recipe = Recipe(optimizer=name, clip_norm=1.0, ema_momentum=0.9, weight_decay=0.01, schedule="constant")
    optimizer = make_optimizer(recipe, 1, [])
    assert type(optimizer).__name__.lower() == name.replace("_", "").lower()
    assert (optimizer.global_clipnorm, optimizer.use_ema, optimizer.weight_decay) == (1.0, True, 0.01)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nadamm", r"Unknown optimizer 'nadamm'\. Did you mean 'nadam'\?"),
        ("LossScaleOptimizer", "Unknown optimizer"),
        ({"name": "rmsprop", "momentun": 0.9}, r"Unknown setting of optimizer 'rmsprop' 'momentun'.*'momentum'\?"),
        ({"name": "rmsprop", "learning_rate": 0.9}, "cannot set 'learning_rate'"),
        ({"name": "rmsprop", "use_ema": True}, "cannot set 'use_ema'"),
        ({"name": "sgd", "momentum": 7}, "cannot be .*momentum"),
    ],
    ids=str,
)
def test_an_optimizer_that_keras_has_not_is_refused(name: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_recipe(Recipe(optimizer=name, augmentation="none"), (8, 8, 3))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("categorical_crossentrop", "Unknown loss .*Did you mean 'categorical_crossentropy'"),
        ("sparse_categorical_crossentropy", "cannot train a classifier here"),
        ("dice", "does not return one value per image"),
        ("ctc", "cannot train a classifier here"),
        ({"name": "categorical_crossentropy", "from_logits": True}, "cannot set 'from_logits'"),
        ({"name": "categorical_focal_crossentropy", "gama": 2}, "Did you mean 'gamma'"),
        ({"name": "huber", "delta": "wide"}, "cannot"),
    ],
    ids=str,
)
def test_a_loss_that_cannot_train_a_classifier_is_refused(loss: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_loss(Recipe(loss=loss))


def test_label_smoothing_that_would_do_nothing_is_refused() -> None:
    assert make_loss(Recipe(loss="kl_divergence")).name
    with pytest.raises(UsageError, match=r"does not support label smoothing, but the recipe sets it to 0\.1"):
        make_loss(Recipe(loss="kl_divergence", label_smoothing=0.1))


def test_a_function_changes_the_batch_and_depends_on_the_generator_alone(changes: str) -> None:
    images = np.zeros((3, 8, 8, 3), np.uint8)
    again, other = images.copy(), images.copy()
    rain = Augmentation(function=f"{changes}:rain")
    for batch, seed in ((images, 1), (again, 1), (other, 2)):
        call_function(batch, rain, np.random.default_rng(seed))
    assert images.any()
    assert np.array_equal(images, again)
    assert not np.array_equal(images, other)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("in_shares", TrainingError, r"'photo_changes:in_shares' must return.*uint8 0\.\.255.*float64, values 0 to 0"),
        ("smaller", TrainingError, r"'photo_changes:smaller' must return .*Received: shape \(2, 4, 8, 3\)"),
        ("nothing", TrainingError, "'photo_changes:nothing' must return .*Received: NoneType"),
        ("broken", TrainingError, "'photo_changes:broken' failed: KeyError: 'colour'"),
        ("snow", UsageError, "'photo_changes:snow' cannot be used: 'photo_changes' has no 'snow'"),
        ("level", UsageError, "is int, which cannot be called"),
    ],
)
def test_a_function_that_breaks_its_contract_is_named(
    function: str, error: type[Exception], message: str, changes: str
) -> None:
    with pytest.raises(error, match=message):
        check_recipe(Recipe(augmentation=f"{changes}:{function}"), (8, 8, 3))


def test_a_module_that_cannot_be_imported_is_named(changes: str) -> None:
    with pytest.raises(UsageError, match=r"could not import 'photo_chances': ModuleNotFoundError"):
        check_recipe(Recipe(augmentation="photo_chances:rain"), (8, 8, 3))


def test_a_function_object_is_taken_where_another_process_finds_it(changes: str) -> None:
    import importlib

    rain = importlib.import_module(changes).rain
    assert Recipe(augmentation=rain).ranges.function == f"{changes}:rain"
    for function in (lambda images, random: images, type("Own", (), {"__module__": "__main__", "__call__": rain})()):
        with pytest.raises(UsageError, match=r"cannot be found by name: .* A resumed run could not import it"):
            Recipe(augmentation=function)


def test_features_of_a_changed_function_are_computed_again(changes: str, tmp_path: Path) -> None:
    rain = Augmentation(function=f"{changes}:rain")
    before = augmentation_digest(rain)
    assert before == augmentation_digest(rain) != augmentation_digest(Augmentation())
    (tmp_path / "photo_changes.py").write_text(CHANGES.replace("60", "90"))
    assert augmentation_digest(rain) != before
