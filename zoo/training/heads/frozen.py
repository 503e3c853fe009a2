"""From images to the head that suits them: features of a frozen backbone, and the choice among heads on them."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from zoo.data import ImageData
from zoo.interfaces import Architecture
from zoo.recipe import Recipe
from zoo.training.features import compute_features
from zoo.training.heads.attach import depth_features, depth_widths
from zoo.training.heads.choose import ChosenHead, choose_head
from zoo.training.heads.features import Features

Progress = Callable[[int, int], None]


def features_of_depths(
    model: keras.Model, architecture: Architecture, images: ImageData, recipe: Recipe, progress: Progress
) -> tuple[Features, int]:
    """Features of all depths of a frozen backbone, and how many of them had changed in the cache.

    Args:
        model: With its weights, of an architecture that declares a backbone.
        architecture: That built it.
        images: All of them are looked at.
        recipe: Of the training.
        progress: Called with images done and images to do.
    """
    assert architecture.backbone is not None
    depths, end = architecture.depths, architecture.backbone
    found = compute_features(depth_features(model, depths, end), images, recipe, progress=progress)
    return Features.of(found.data.pixels.read, depth_widths(model, depths, end)), found.damaged


def choose_for(features: Features, images: ImageData, recipe: Recipe, seed: int, progress: Progress) -> ChosenHead:
    """The head that cross-validation on some images chooses.

    Args:
        features: Of the images.
        images: They choose, and train the head that is chosen.
        recipe: Says whether all classes count the same.
        seed: Of the folds.
        progress: Called with steps done and steps to do.
    """
    return choose_head(
        features,
        np.arange(len(images.names)),
        images.classes,
        len(images.labels),
        balanced=recipe.class_weights == "balanced",
        seed=seed,
        progress=progress,
    )
