"""Computes features of a frozen backbone for images, and chooses a head on them."""

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
    """Computes the features of all depths of a frozen backbone, and the number of damaged ones in the cache.

    Args:
        model: A model with weights, of an architecture that declares a backbone.
        architecture: Its architecture.
        images: The images.
        recipe: The recipe.
        progress: Called with images done and images to do.
    """
    assert architecture.backbone is not None
    depths, end = architecture.depths, architecture.backbone
    found = compute_features(depth_features(model, depths, end), images, recipe, progress=progress)
    return Features.of(found.data.pixels.read, depth_widths(model, depths, end)), found.damaged


def choose_for(features: Features, images: ImageData, recipe: Recipe, seed: int, progress: Progress) -> ChosenHead:
    """Chooses a head by cross-validation.

    Args:
        features: Features of the images.
        images: Images for cross-validation and for training the chosen head.
        recipe: The recipe, which determines whether all classes have the same weight.
        seed: Seed of the folds.
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
