"""Checks the objects outside zoo that a recipe refers to, before any photo is read."""

from __future__ import annotations

import numpy as np

from zoo.keras_names import OUR_OPTIMIZERS
from zoo.recipe import Recipe
from zoo.training.augment import call_function


def check_recipe(recipe: Recipe, input_shape: tuple[int, int, int]) -> None:
    """Finds the optimizer, the loss and the augmentation function of a recipe, and tests the last two.

    Keras is imported only for names that are not defined by zoo.

    Raises:
        UsageError: A name is not found, a setting is invalid, or the loss cannot train a classifier.
        TrainingError: The augmentation function returns an invalid batch.
    """
    call_function(np.zeros((2, *input_shape), np.uint8), recipe.ranges, np.random.default_rng(0))
    if isinstance(recipe.optimizer, str) and recipe.optimizer in OUR_OPTIMIZERS and recipe.loss == Recipe.loss:
        return
    from zoo.backend import start_keras

    start_keras()
    from zoo.training.loss import make_loss
    from zoo.training.optimizer import make_optimizer

    make_optimizer(recipe, 1, [])
    make_loss(recipe)
