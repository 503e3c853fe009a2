"""The loss of a recipe: of one-hot or mixed targets and of probabilities, one value for each image."""

from __future__ import annotations

import keras
import numpy as np

from zoo.errors import UsageError
from zoo.keras_names import name_and_settings
from zoo.recipe import Recipe
from zoo.training.keras_parts import make_part

_INSTEAD = {
    "from_logits": "Leave it out: models return probabilities.",
    "label_smoothing": "Set the recipe field label_smoothing.",
    "reduction": "Leave it out: class weights need the mean over the images.",
    "axis": "Leave it out: the classes are the last axis.",
    "dtype": "Leave it out: losses are float32.",
    "name": "Leave it out.",
}


def make_loss(recipe: Recipe) -> keras.losses.Loss:
    """The loss of a recipe.

    Raises:
        UsageError: Keras has no such loss, it does not take a setting or its value, or it cannot be used: it takes
            other targets, gives one value for a whole batch, has no label smoothing though the recipe asks for it, or
            does not fall where the right class becomes more probable.
    """
    loss = make_part(
        "loss",
        recipe.loss,
        keras.losses,
        keras.losses.Loss,
        ours={},
        given={"label_smoothing": recipe.label_smoothing} if recipe.label_smoothing else {},
        instead=_INSTEAD,
    )
    name, _ = name_and_settings(recipe.loss)
    if recipe.label_smoothing and "label_smoothing" not in loss.get_config():
        raise UsageError(
            f"The loss '{name}' has no label smoothing, and the recipe asks for {recipe.label_smoothing:g}.",
            "Set label_smoothing to 0, or take categorical_crossentropy or categorical_focal_crossentropy.",
        )
    _refuse_useless(name, loss)
    return loss


def _refuse_useless(name: str, loss: keras.losses.Loss) -> None:
    """Tries the loss on four images of three classes."""
    true = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    right = 0.7 * true + 0.1
    try:
        of_right, of_wrong = (
            keras.ops.convert_to_numpy(loss.call(true, given.astype(np.float32))) for given in (right, right[:, ::-1])
        )
    except Exception as error:  # Keras and its backends each raise their own
        reason = " ".join(str(error).split())[:200]
        raise _useless(name, f"it does not take one-hot targets and probabilities ({reason})") from error
    if of_right.shape != (4,):
        raise _useless(name, "it does not give one value for each image, so that class weights would do nothing")
    if not (np.isfinite(of_right).all() and of_right.mean() < of_wrong.mean()):
        raise _useless(name, "it is not lower where the right class is more probable")


def _useless(name: str, reason: str) -> UsageError:
    return UsageError(
        f"The loss '{name}' cannot train a classifier here: {reason}.",
        "Take categorical_crossentropy, categorical_focal_crossentropy or another one of one-hot targets.",
    )
