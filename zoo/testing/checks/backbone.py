"""A declared backbone can be frozen and run once: its features replace the images."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.errors import PluginError
from zoo.evaluation.predict import predict_inputs
from zoo.recipe import Recipe
from zoo.testing.fitted import RECIPE, Fitted
from zoo.testing.result import CheckError, NothingToCheckError
from zoo.testing.subject import Subject
from zoo.training.features import compute_features
from zoo.training.heads.attach import depth_features
from zoo.training.model import compile_model, get_weights, split_model

#: Maximum difference between the predictions of the whole model and of its head on cached features.
TOLERANCE = 1e-5

_STEPS, _PARTS = 3, 4


def check_backbone(subject: Subject) -> str:
    name = subject.architecture.backbone
    if name is None:
        raise NothingToCheckError("no backbone is declared")
    fitted = subject.fitted
    try:
        backbone, head = split_model(fitted.model, name)
    except (PluginError, ValueError) as error:
        raise CheckError(
            f"the model has a layer '{name}' whose output is the only input of the head",
            " ".join(str(error).split())[:300],
            "Declare the name of the pooling layer before the head. Connections that bypass it cannot be cached.",
        ) from error
    width = backbone.output_shape
    if len(width) != 2 or width[1] is None:
        raise CheckError(
            f"the layer '{name}' returns a feature vector, (batch, features)",
            f"{width}",
            "Declare the pooling layer, not what comes before it.",
        )
    depths = subject.architecture.depths
    try:
        depth_features(fitted.model, depths, name)
    except PluginError as error:
        mend = "Declare the last layers of blocks, with their names in the model."
        raise CheckError("every depth is a layer of the model whose output is a map", error.message, mend) from error
    if not head.trainable_weights:
        mend = "Declare the pooling layer before the last Dense."
        raise CheckError(f"the head after '{name}' has weights to train", "none", mend)
    backbone.run_eagerly = head.run_eagerly = (
        True  # the whole model is not compiled either, and compiled models compute sums in another order
    )
    with subject.own_cache():
        features = compute_features(backbone, subject.photos, Recipe(head_epochs=1)).data.pixels
        cached = features.read(range(len(features)))
    _compare(fitted, head, cached, "before training")
    with fitted.kept():
        frozen = get_weights(backbone.weights)
        compile_model(head, RECIPE, steps_per_epoch=1)
        head.run_eagerly = True
        for _ in range(_STEPS):
            head.train_on_batch(cached, fitted.targets)
        _compare(fitted, head, cached, f"after {_STEPS} steps of its head")
        moved = sum(not np.array_equal(a, b) for a, b in zip(frozen, get_weights(backbone.weights), strict=True))
    if moved:
        mend = "Layers of the head must not share weights with the backbone."
        raise CheckError("training the head does not change the backbone", f"{moved} of its weights changed", mend)
    beside = f", in addition to {len(depths)} depths" if depths else ""
    return f"'{name}' returns {width[1]} features{beside}; the head trains on them"


def _compare(fitted: Fitted, head: keras.Model, cached: NDArray[np.float32], when: str) -> None:
    # with another batch size than for the features, because predictions must not depend on it
    parts = np.array_split(fitted.pixels, _PARTS)
    whole = np.concatenate([predict_inputs(fitted.model, part, len(part)) for part in parts])
    from_features = predict_inputs(head, cached, len(cached))
    worst = float(np.abs(whole - from_features).max())
    if not worst <= TOLERANCE:
        raise CheckError(
            f"the head predicts the same from cached features as the whole model, within {TOLERANCE:g}, {when}",
            f"a probability differs by {worst:.3g}",
            "In inference, the features of an image must depend only on this image. Is a mean computed over axis 0?",
        )
