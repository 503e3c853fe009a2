"""The record that says how a model is trained."""

from __future__ import annotations

import pytest

from zoo import Recipe, UsageError
from zoo.recipe import FIELDS


def test_text_is_read_as_the_type_of_the_field() -> None:
    recipe = Recipe().with_values({"epochs": "7", "learning_rate": "3e-4", "optimizer": "sgd", "dropout": "none"})
    assert (recipe.epochs, recipe.learning_rate, recipe.optimizer, recipe.dropout) == (7, 3e-4, "sgd", None)


def test_it_survives_its_own_dictionary() -> None:
    recipe = Recipe(epochs=3, mixup_alpha=0.2, dropout=0.1)
    assert Recipe(**recipe.as_dict()) == recipe
    assert set(recipe.as_dict()) == set(FIELDS)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", "many", "must be a whole number"),
        ("epochs", "2.5", "must be a whole number"),
        ("epochs", 0, "trains nothing"),
        ("epochs", -1, "must be from 0 to"),
        ("epochs", None, "needs a value"),
        ("learning_rate", "nan", "must be a number"),
        ("learning_rate", -1, "must be from"),
        ("learning_rate", True, "must be a number"),
        ("optimizer", "adma", "cannot be 'adma'"),
        ("augmentation", "weak", "none, article, strong"),
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
