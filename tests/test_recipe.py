"""The record that describes how a model is trained."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from zoo import Augmentation, Recipe, UsageError
from zoo.augmentation import NAMED
from zoo.recipe import FIELDS


def test_text_is_read_as_the_type_of_the_field() -> None:
    recipe = Recipe().with_values({"epochs": "7", "learning_rate": "3e-4", "optimizer": "sgd", "dropout": "none"})
    assert (recipe.epochs, recipe.learning_rate, recipe.optimizer, recipe.dropout) == (7, 3e-4, "sgd", None)


def test_it_survives_its_own_dictionary() -> None:
    recipe = Recipe(epochs=3, mixup_alpha=0.2, dropout=0.1).with_values({"flip": "both", "aspect": "free"})
    written = json.loads(json.dumps(recipe.as_dict()))
    assert Recipe.from_dict(written) == recipe
    assert written["augmentation"]["flip"] == "both"
    assert set(recipe.settings()) | {"augmentation"} == set(FIELDS)


def test_names_of_keras_and_functions_survive_every_way_of_writing_them() -> None:
    recipe = Recipe().with_values(
        {"optimizer": '{"name": "sgd", "momentum": 0.5}', "augmentation": "photos.rain:heavy"}
    )
    assert recipe.optimizer == {"name": "sgd", "momentum": 0.5}
    assert recipe.ranges == Augmentation(function="photos.rain:heavy")
    assert Recipe.from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe
    assert Recipe().with_values(recipe.settings()) == recipe
    assert Recipe().with_values({"augmentation": '{"shift": 0.1}'}).ranges == Augmentation(shift=0.1)


def test_an_augmentation_is_the_start_and_ranges_override_it() -> None:
    recipe = Recipe().with_values({"flip": "none", "view": "0.9,1.1", "augmentation": "article", "shift": "0"})
    assert recipe.ranges == replace(NAMED["article"], flip="none", view=(0.9, 1.1), shift=0.0)
    assert recipe.with_values({"rotation_degrees": 5}).ranges == replace(recipe.ranges, rotation_degrees=5)
    assert recipe.with_values({"augmentation": "strong"}).ranges == NAMED["strong"]
    assert Recipe(augmentation=Augmentation(flip="vertical")).ranges.flip == "vertical"
    assert Recipe(augmentation="strong") == Recipe(augmentation=NAMED["strong"])


def test_every_range_has_its_own_features_in_the_cache() -> None:
    others = [{"flip": "none"}, {"view": "0.6,1.1"}, {"shift": 0}, {"aspect": "free"}, {"saturation": 0.1}]
    digests = {Recipe().with_values(other).ranges.digest for other in ({}, *others)}
    assert len(digests) == 6
    assert Recipe.from_dict(json.loads(json.dumps(Recipe().as_dict()))).ranges.digest in digests


def test_whole_numbers_are_the_numbers_they_are_read_back_as() -> None:
    written = Augmentation(view=(1, 2), rotation_degrees=5, aspect=2)
    assert written.digest == Augmentation(view=(1.0, 2.0), rotation_degrees=5.0, aspect=2.0).digest


def test_ranges_that_leave_images_as_they_are() -> None:
    assert Augmentation(aspect="free").changes_nothing
    assert not Augmentation(aspect="free", view=(0.9, 1.0)).changes_nothing
    assert not Augmentation(aspect=1.1).changes_nothing


def test_an_augmentation_that_is_only_named_mirrored_its_images() -> None:
    assert Recipe.from_dict({"augmentation": "article"}).ranges == replace(NAMED["article"], flip="horizontal")
    assert Recipe.from_dict({"augmentation": "none"}).ranges == Augmentation()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", "many", "must be a whole number"),
        ("optimizer", "{name: sgd}", "is not valid JSON"),
        ("optimizer", {"momentum": 0.5}, "needs a name"),
        ("optimizer", {"name": "sgd", "momentum": {}}, "invalid setting 'momentum'"),
        ("loss", 3, "needs a name"),
        ("augmentation", "strang", "Did you mean 'strong'"),
        ("epochs", "2.5", "must be a whole number"),
        ("epochs", 0, "trains nothing"),
        ("epochs", -1, "must be from 0 to"),
        ("epochs", None, "needs a value"),
        ("learning_rate", "nan", "must be a number"),
        ("learning_rate", -1, "must be from"),
        ("learning_rate", True, "must be a number"),
        ("optimizer", "adam w", "needs a name"),
        ("augmentation", "weak", "Known: article, none"),
        ("augmentation", {"flap": "none"}, "Did you mean 'flip'"),
        ("flip", "sideways", "auto, none, horizontal, vertical, both"),
        ("view", "0.8", "must be two numbers"),
        ("view", "1.2,0.8", "the smaller one first"),
        ("view", [0.8, "wide"], "must be a number"),
        ("aspect", "wide", "must be a number"),
        ("aspect", 0.5, "must be from 1 to 10"),
        ("shift", "nan", "must be a number"),
        ("brightness", 2, "must be from 0 to 1"),
        ("learningrate", 1, "Did you mean 'learning_rate'"),
    ],
)
def test_bad_values_are_refused_by_name(field: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recipe().with_values({field: value})


def test_a_small_data_set_gets_more_epochs_and_who_names_epochs_gets_exactly_these() -> None:
    recipe = Recipe(epochs=40, min_steps=2000)
    assert recipe.lasting(14).epochs == 143
    assert recipe.lasting(500).epochs == 40
    assert recipe.with_values({"epochs": 3}).lasting(14).epochs == 3
    assert recipe.with_values({"epochs": 3, "min_steps": 70}).lasting(14).epochs == 5
