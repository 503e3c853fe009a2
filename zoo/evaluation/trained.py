"""A model that can predict: the model of a finished run, or an architecture with its pretrained weights."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.array_files import check_keras_file
from zoo.errors import TrainingError
from zoo.image_spec import ImageSpec
from zoo.interfaces import Architecture, Weights
from zoo.run_folder import Run

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class TrainedModel:
    """A model with everything needed to predict image files.

    Args:
        name: Display name: the run's folder, or ``mobilenetv2 (imagenet)``.
        architecture: Name of its architecture.
        labels: Class names in the order of the outputs.
        image: The preprocessing of files.
        load: Returns the Keras model, always the same object.
        aliases: Alternative names of the classes, such as WordNet IDs.
        notes: Layers that were added so that it takes raw pixels and returns probabilities, one sentence each.
        lone: Whether it is the model of a file from outside zoo, without further information.
        run: The run in which it was trained, if any.
    """

    name: str
    architecture: str
    labels: tuple[str, ...]
    image: ImageSpec
    load: Callable[[], keras.Model]
    aliases: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lone: bool = False
    run: Run | None = None


def of_run(run: Run) -> TrainedModel:
    """The model of a finished run."""
    return TrainedModel(
        name=str(run.path),
        architecture=run.architecture,
        labels=run.labels,
        image=run.image_spec,
        load=cache(lambda: _load(run)),
        run=run,
    )


def pretrained(architecture: Architecture, weights: Weights) -> TrainedModel:
    """An architecture with pretrained weights and all their classes."""
    labels = weights.labels()

    def load() -> keras.Model:
        model = architecture.build(architecture.image.input_shape, len(labels))
        weights.load(model, True)
        return model

    return TrainedModel(
        name=f"{architecture.name} ({weights.name})",
        architecture=architecture.name,
        labels=labels,
        image=architecture.image,
        load=cache(load),
        aliases=weights.aliases(),
    )


def _load(run: Run) -> keras.Model:
    if not run.model_path.is_file():
        raise TrainingError(f"The run {run.path} has no trained model yet.", f"zoo train --resume {run.path}")
    return _read(run.model_path)


def _read(path: Path) -> keras.Model:
    import keras

    try:
        check_keras_file(path)
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras and h5py raise many kinds of errors for a damaged file
        raise TrainingError(f"Could not read {path}: {error}", "The file is damaged. Train again.") from error


def model_digest(model: keras.Model) -> str:
    """SHA-256 over the weights of a model in order, with their shapes. It does not depend on names and versions."""
    import keras

    digest = hashlib.sha256()
    for variable in model.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable), np.float32)
        digest.update(repr(value.shape).encode())
        digest.update(value.data)
    return digest.hexdigest()
