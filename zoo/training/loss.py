"""The loss of a recipe. It takes one-hot or mixed targets and probabilities, and returns one value per image."""

from __future__ import annotations

import keras
import numpy as np

from zoo.errors import UsageError
from zoo.keras_names import name_and_settings
from zoo.recipe import Recipe
from zoo.training.keras_parts import make_part

_INSTEAD = {
    "from_logits": "Omit it: models return probabilities.",
    "label_smoothing": "Set the recipe field label_smoothing.",
    "reduction": "Omit it: class weights need the mean over the images.",
    "axis": "Omit it: the classes are on the last axis.",
    "dtype": "Omit it: losses are float32.",
    "name": "Leave it out.",
}


def make_loss(recipe: Recipe) -> keras.losses.Loss:
    """The loss of a recipe.

    Raises:
        UsageError: Keras has no such loss, it does not accept a setting or value, or it is not suitable: it takes other
            targets, returns one value for a whole batch, does not support the label smoothing of the recipe, or does
            not decrease if the correct class becomes more probable.
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
            f"The loss '{name}' does not support label smoothing, but the recipe sets it to"
            f" {recipe.label_smoothing:g}.",
            "Set label_smoothing to 0, or use categorical_crossentropy or categorical_focal_crossentropy.",
        )
    _refuse_useless(name, loss)
    return loss


def _refuse_useless(name: str, loss: keras.losses.Loss) -> None:
    """Tests the loss on four images of three classes."""
    true = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    right = 0.7 * true + 0.1
    try:
        of_right, of_wrong = (
            keras.ops.convert_to_numpy(loss.call(true, given.astype(np.float32))) for given in (right, right[:, ::-1])
        )
    except Exception as error:  # Keras and its backends each raise their own errors
        reason = " ".join(str(error).split())[:200]
        raise _useless(name, f"it does not take one-hot targets and probabilities ({reason})") from error
    if of_right.shape != (4,):
        raise _useless(name, "it does not return one value per image, so class weights would have no effect")
    if not (np.isfinite(of_right).all() and of_right.mean() < of_wrong.mean()):
        raise _useless(name, "it is not lower if the correct class is more probable")


def _useless(name: str, reason: str) -> UsageError:
    return UsageError(
        f"The loss '{name}' cannot train a classifier here: {reason}.",
        "Use categorical_crossentropy, categorical_focal_crossentropy or another loss for one-hot targets.",
    )
