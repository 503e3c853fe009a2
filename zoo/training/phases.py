"""The phases of a training: its head on cached features, then the images."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import keras

from zoo.data import ImageData
from zoo.data.cache import damage_note
from zoo.interfaces import Architecture
from zoo.recipe import Recipe
from zoo.reporter import Reporter
from zoo.run_folder import Run
from zoo.training.batches import TrainingBatches
from zoo.training.effects import refuse_missing_backbone
from zoo.training.features import FeatureBatches, compute_features
from zoo.training.hosts import Hosts
from zoo.training.lesson import Lesson
from zoo.training.model import split_model, unfreeze


@dataclass(frozen=True)
class Phase:
    """One call of ``fit``.

    Args:
        model: The model to train: the whole model, or its head, which shares layers with it.
        batches: The training batches.
        recipe: The recipe with the epochs and learning rate of this phase.
    """

    model: keras.Model
    batches: TrainingBatches
    recipe: Recipe


@dataclass(frozen=True)
class Work:
    """What every phase of a training works on: the run, its data, and the whole model."""

    run: Run
    architecture: Architecture
    data: ImageData
    lesson: Lesson | None
    model: keras.Model
    reporter: Reporter
    hosts: Hosts | None


def phases_of(work: Work) -> Iterator[Callable[[Work], Phase]]:
    """The phases of a recipe. Each is created when it starts, because a head phase then computes its features."""
    recipe = work.run.recipe
    refuse_missing_backbone(recipe, work.architecture)
    if recipe.head_epochs:
        yield _head_phase
    if recipe.epochs:
        yield _image_phase


def _head_phase(work: Work) -> Phase:
    recipe, data, lesson, run, reporter = work.run.recipe, work.data, work.lesson, work.run, work.reporter
    assert work.architecture.backbone is not None  # `refuse_missing_backbone` was called
    backbone, head = split_model(work.model, work.architecture.backbone)
    views = lesson.views if lesson else recipe.head_views
    reporter.stage(f"Computing features of the frozen backbone ({views} view(s) per image)")
    with timed(run, "features_s"):
        features = compute_features(backbone, data, recipe, views, reporter.counter("features"))
    if features.damaged:
        reporter.note(damage_note(features.damaged, "feature vectors"))
    phase_recipe = replace(recipe, epochs=recipe.head_epochs, learning_rate=recipe.head_learning_rate)
    share = work.hosts.share if work.hosts else None
    batches = FeatureBatches(
        features.data, data.training, phase_recipe, run.seed, lesson, share, features=features.views
    )
    return Phase(head, batches, phase_recipe)


@contextlib.contextmanager
def timed(run: Run, timing: str) -> Iterator[None]:
    """Adds the seconds of the block to a timing of the run, including the time before an interruption."""
    start = time.perf_counter()
    try:
        yield
    finally:
        run.add_seconds(timing, time.perf_counter() - start)


def _image_phase(work: Work) -> Phase:
    recipe, backbone = work.run.recipe, work.architecture.backbone
    if backbone is not None and recipe.freezes:
        unfreeze(work.model, backbone, recipe.unfreeze, recipe.batch_norm_momentum)
    share = work.hosts.share if work.hosts else None
    batches = TrainingBatches(work.data, work.data.training, recipe, work.run.seed, work.lesson, share)
    return Phase(work.model, batches, recipe.lasting(batches.steps))
