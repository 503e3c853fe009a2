"""The optimizer of a recipe, with its schedule."""

from __future__ import annotations

from collections.abc import Iterable

import keras

from zoo.keras_names import OUR_OPTIMIZERS, name_and_settings
from zoo.recipe import Recipe
from zoo.training.keras_parts import make_part

#: Settings that the harness sets, with the field of the recipe for each.
_INSTEAD = {
    "learning_rate": "Set the recipe fields learning_rate, schedule and warmup_epochs.",
    "weight_decay": "Set the recipe field weight_decay.",
    "global_clipnorm": "Set the recipe field clip_norm.",
    "use_ema": "Set the recipe field ema_momentum.",
    "ema_momentum": "Set the recipe field ema_momentum.",
    "ema_overwrite_frequency": "Set the recipe field ema_momentum. The averaged weights are validated and kept.",
    "loss_scale_factor": "Omit it: neither float32 nor bfloat16 needs it.",
    "name": "Leave it out.",
}


def make_optimizer(
    recipe: Recipe, steps_per_epoch: int, variables: Iterable[keras.Variable]
) -> keras.optimizers.Optimizer:
    """Creates the optimizer of a recipe. Biases and the variables of normalisation layers have no weight decay.

    Raises:
        UsageError: Keras has no such optimizer, or it does not accept a setting or value.
    """
    decay = weight_decay(recipe)
    optimizer = make_part(
        "optimizer",
        recipe.optimizer,
        keras.optimizers,
        keras.optimizers.Optimizer,
        ours=OUR_OPTIMIZERS,
        given={
            "learning_rate": _schedule(recipe, steps_per_epoch),
            "weight_decay": decay,
            "global_clipnorm": recipe.clip_norm or None,
            "use_ema": recipe.ema_momentum > 0,
            "ema_momentum": recipe.ema_momentum or 0.99,
        },
        instead=_INSTEAD,
    )
    kept = [variable for variable in variables if not decays(variable)]
    if decay is not None and kept:
        optimizer.exclude_from_weight_decay(var_list=kept)
    return optimizer


def weight_decay(recipe: Recipe) -> float | None:
    """The weight decay of the optimizer. Adam has none; AdamW has."""
    return None if name_and_settings(recipe.optimizer)[0].lower() == "adam" else recipe.weight_decay


def decays(variable: keras.Variable) -> bool:
    """Whether weight decay applies to a variable: to kernels, but not to biases or to scales and offsets of
    normalisation.

    A variable with one axis is one of these, whatever its name is. Biases and scales with more axes (the biases of
    attention heads, the scales of a LayerNormalization over several axes) are identified by their Keras names.
    """
    return len(variable.shape) > 1 and variable.name not in ("bias", "gamma", "beta")


def _schedule(recipe: Recipe, steps_per_epoch: int) -> float | keras.optimizers.schedules.LearningRateSchedule:
    warmup_steps = round(min(recipe.warmup_epochs, recipe.epochs / 5) * steps_per_epoch)
    if recipe.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup_steps else recipe.learning_rate,
            decay_steps=max(1, recipe.epochs * steps_per_epoch - warmup_steps),
            warmup_target=recipe.learning_rate if warmup_steps else None,
            warmup_steps=warmup_steps,
        )
    if warmup_steps:
        # Warm-up, then constant: a cosine schedule without decay.
        return keras.optimizers.schedules.CosineDecay(
            0.0, 1, alpha=1.0, warmup_target=recipe.learning_rate, warmup_steps=warmup_steps
        )
    return recipe.learning_rate
