"""The model for most checks: trained on one batch, so that its predictions are meaningful."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.data import TEST
from zoo.evaluation.predict import predict_inputs
from zoo.keras_internals import layers_of
from zoo.recipe import Recipe
from zoo.training.model import compile_model, get_weights, set_weights

if TYPE_CHECKING:
    from zoo.testing.subject import Subject

#: Maximum number of steps per learning rate, and the learning rates in order: shallow networks need higher ones, VGG
#: lower ones.
STEPS, LEARNING_RATES = 60, (1e-3, 1e-2, 1e-4)

#: Loss at which training stops: ln 4 = 1.39 is chance level, and 0.2 means a probability of 0.8 for the correct class.
#: At lower losses, the softmax saturates and hides the effect of weights on predictions.
ENOUGH = 0.2

_DROPOUTS = (keras.layers.Dropout, keras.layers.AlphaDropout, keras.layers.GaussianDropout)

#: The recipe of the check, which is the same for every architecture.
RECIPE = Recipe(optimizer="adam", schedule="constant", augmentation="none", class_weights="none", precision="float32")


@dataclass(frozen=True)
class Fitted:
    """A model after training on one batch.

    Args:
        model: The model in float32. The moving statistics of BatchNorm are those of the batch.
        pixels: The batch, uint8 ``(32, height, width, 3)``.
        targets: One-hot, float32 ``(32, 4)``.
        losses: Training loss of every step, at the last learning rate that was tried.
        learning_rate: The last learning rate that was tried.
        unmoved: Names of the trainable weights that training did not change at all.
        right: Number of images of the batch that it predicts correctly, in inference mode.
    """

    model: keras.Model
    pixels: NDArray[np.uint8]
    targets: NDArray[np.float32]
    losses: tuple[float, ...]
    learning_rate: float
    unmoved: tuple[str, ...]
    right: int

    @contextmanager
    def kept(self) -> Iterator[keras.Model]:
        """Yields the model for further training. At the end, its weights and ``trainable`` attributes are restored."""
        weights = get_weights(self.model.weights)
        trainable = [(layer, layer.trainable) for layer in layers_of(self.model)]
        try:
            yield self.model
        finally:
            for layer, was in trainable:
                layer.trainable = was
            set_weights(self.model.weights, weights)


def fit(subject: Subject) -> Fitted:
    """Builds the model and trains it on one batch, with each learning rate until the loss is low for one of them."""
    photos = subject.photos
    pixels = photos.pixels.read(photos.indices(TEST))
    targets = np.eye(len(photos.labels), dtype=np.float32)[photos.classes]
    shape = subject.image.input_shape
    keras.utils.set_random_seed(0)
    model = subject.build(shape, len(photos.labels))
    compile_model(model, RECIPE, steps_per_epoch=1)
    model.run_eagerly = True  # only a few steps, so compiling a deep model would take longer than running them
    fresh, fresh_optimizer = get_weights(model.weights), get_weights(model.optimizer.variables)
    before = dict(zip(map(id, model.weights), fresh, strict=True))
    runs: dict[float, tuple[float, ...]] = {}
    for rate in LEARNING_RATES:
        set_weights(model.weights, fresh)
        set_weights(model.optimizer.variables, fresh_optimizer)
        model.optimizer.learning_rate = rate
        runs[rate] = _train(model, pixels, targets)
        if runs[rate][-1] <= ENOUGH:
            break
    unmoved = tuple(
        weight.path
        for weight, value in zip(model.trainable_weights, get_weights(model.trainable_weights), strict=True)
        if np.array_equal(value, before[id(weight)])
    )
    settle_batch_norm(model, pixels)
    right = int((predict_inputs(model, pixels, len(pixels)).argmax(axis=1) == targets.argmax(axis=1)).sum())
    return Fitted(model, pixels, targets, runs[rate], rate, unmoved, right)


def _train(model: keras.Model, pixels: NDArray[np.uint8], targets: NDArray[np.float32]) -> tuple[float, ...]:
    losses = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gradients do not exist")  # the check of changing weights reports this better
        for _ in range(STEPS):
            model.reset_metrics()
            losses.append(float(model.train_on_batch(pixels, targets, return_dict=True)["loss"]))
            if losses[-1] <= ENOUGH or not np.isfinite(losses[-1]):
                break
    return tuple(losses)


def settle_batch_norm(model: keras.Model, pixels: NDArray[np.uint8]) -> None:
    """Sets the statistics of BatchNorm to those of a batch. Moving averages would need hundreds of steps to converge.

    Dropout is disabled meanwhile, as in inference, because it would change the statistics of the batch.
    """
    everything = layers_of(model)
    norms = [layer for layer in everything if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    kept = [(layer, "momentum", layer.momentum) for layer in norms]
    kept += [(layer, "rate", layer.rate) for layer in everything if isinstance(layer, _DROPOUTS)]
    for layer, name, _ in kept:
        setattr(layer, name, 0.0)
    try:
        model(keras.ops.convert_to_tensor(pixels, "float32"), training=True)
    finally:
        for layer, name, value in kept:
            setattr(layer, name, value)
