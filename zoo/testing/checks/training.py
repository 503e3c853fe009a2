"""One batch can be memorised, and training changes all trainable weights and no frozen layer."""

from __future__ import annotations

import keras
import numpy as np

from zoo.figures import percent
from zoo.keras_internals import layers_of
from zoo.testing.fitted import ENOUGH, LEARNING_RATES, RECIPE, STEPS, Fitted
from zoo.testing.result import CheckError
from zoo.testing.subject import Subject
from zoo.training.model import compile_model, get_weights, unfreeze

_NAMED = 4

#: Minimum share of the photos that are predicted correctly afterwards. The last loss is measured before the last step,
#: which may change some predictions.
_RIGHT = 0.9


def check_overfits_one_batch(subject: Subject) -> str:
    fitted = subject.fitted
    images = len(fitted.pixels)
    first, last = fitted.losses[0], fitted.losses[-1]
    if not np.isfinite(last):
        raise CheckError(
            "the loss is finite",
            f"{last} at step {len(fitted.losses)}, Adam at {fitted.learning_rate:g}",
            "Is the input normalised? Are weights initialised for the activation (he_normal before a ReLU)?",
        )
    if last > ENOUGH:
        rates = ", ".join(f"{rate:g}" for rate in LEARNING_RATES)
        raise CheckError(
            f"{STEPS} steps of Adam on {images} photos of 4 colours bring the loss below {ENOUGH:g}, at one of {rates}",
            f"from {first:.3g} to {last:.3g}",
            "Does a gradient reach the weights? Is the input normalised, and is softmax applied only once?",
        )
    if fitted.right < _RIGHT * images:
        raise CheckError(
            f"a model that was trained on {images} photos predicts {percent(_RIGHT, 0)} of them correctly in inference",
            f"{fitted.right} of {images}, though the training loss is {last:.3g}",
            "Something differs between training and inference: look at layers that take `training`.",
        )
    return f"loss {first:.2f} to {last:.2f} in {len(fitted.losses)} steps at {fitted.learning_rate:g}"


def check_every_weight_moves(subject: Subject) -> str:
    unmoved = subject.fitted.unmoved
    if unmoved:
        raise CheckError(
            "training changes every trainable weight",
            f"{len(unmoved)} did not change: {_some(unmoved)}",
            "No gradient reaches them: does a stop_gradient or a rounding block it? If they should not be trained, set"
            " trainable=False.",
        )
    return f"{len(subject.fitted.model.trainable_weights)} trainable weights"


def check_frozen_weights_stay(subject: Subject) -> str:
    fitted = subject.fitted
    with fitted.kept() as model:
        _freeze(model, subject.architecture.backbone)
        frozen = [weight for layer in layers_of(model) if not layer.trainable for weight in layer.weights]
        frozen = list({id(weight): weight for weight in frozen}.values())
        if not frozen:
            return "the last layer is the only one with weights"
        before = get_weights(frozen)
        _one_step(model, fitted)
        moved = [
            weight.path
            for weight, value in zip(frozen, before, strict=True)
            if not np.array_equal(keras.ops.convert_to_numpy(weight), value)
        ]
    if moved:
        raise CheckError(
            "a training step does not change layers whose `trainable` is False",
            f"{len(moved)} of {len(frozen)} frozen weights changed: {_some(moved)}",
            "Only the optimizer may change trainable weights. A frozen layer must not assign to its own weights.",
        )
    return f"{len(frozen)} frozen weights"


def _freeze(model: keras.Model, backbone: str | None) -> None:
    """Freezes everything except the head, or, without a declared backbone, except the last layer with weights."""
    if backbone is not None:
        unfreeze(model, backbone, 0.0)
        return
    last = [layer for layer in model.layers if layer.weights][-1]
    for layer in model.layers:
        layer.trainable = layer is last


def _one_step(model: keras.Model, fitted: Fitted) -> None:
    compile_model(model, RECIPE, steps_per_epoch=1)
    model.run_eagerly = True
    model.train_on_batch(fitted.pixels, fitted.targets)


def _some(names: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
