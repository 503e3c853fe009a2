"""How good a candidate is: repeated k-fold cross-validation on the training images, near-duplicates in one fold."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.audit.suspects import held_out
from zoo.data import ImageData
from zoo.data.ingest import Progress
from zoo.errors import UsageError
from zoo.evaluation.intervals import wilson_interval
from zoo.evaluation.predictions import Predictions
from zoo.recipe import Recipe
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.searching.candidate import Candidate, Judged
from zoo.searching.photos import Photos


@dataclass(frozen=True)
class Judgement:
    """What cross-validation found.

    Args:
        judged: The figures.
        predictions: Of the first repeat: every image by a head that was fitted without it.
    """

    judged: Judged
    predictions: Predictions


def judge(candidate: Candidate, photos: Photos, reporter: Reporter) -> Judgement:
    """Cross-validates a head on the features of a candidate's frozen backbone.

    Args:
        candidate: What to judge.
        photos: The images that choose.
        reporter: Told of progress.

    Raises:
        ZooError: The plugin fails, or the images cannot be used.
    """
    start = time.perf_counter()
    data = photos.as_seen(candidate.image, reporter.counter("decoding"))
    features = _features(candidate, data, reporter.counter("features"))
    probabilities = held_out(features, data.classes, photos.group).probabilities
    predictions = Predictions(data.labels, data.names, data.classes, probabilities.astype(np.float32))
    right = int(predictions.correct.sum())
    true = np.eye(len(data.labels))[data.classes]
    judged = Judged(
        accuracy=right / len(photos),
        accuracy_interval=wilson_interval(right, len(photos)),
        brier_score=float(((probabilities - true) ** 2).sum(1).mean()),
        n=len(photos),
        folds=len(np.unique(photos.group)),
        repeats=1,
        seconds=round(time.perf_counter() - start, 2),
    )
    return Judgement(judged, predictions)


def _features(candidate: Candidate, data: ImageData, progress: Progress) -> NDArray[np.float32]:
    """``(n, features)`` of a candidate's frozen backbone."""
    import keras

    from zoo.training.features import compute_features
    from zoo.training.model import build_model, split_model

    architecture = architectures().get(candidate.architecture)
    if architecture.backbone is None or not architecture.weights:
        raise UsageError(f"Architecture '{architecture.name}' has no pretrained backbone.")
    model = build_model(architecture, candidate.image.input_shape, len(data.labels))
    architecture.weights[0].load(model, False)
    backbone, _ = split_model(model, architecture.backbone)
    found = compute_features(backbone, data, Recipe(head_epochs=1, head_views=1, augmentation="none"), progress)
    features = found.data.pixels.read(np.arange(len(data.names)))
    del model, backbone
    keras.backend.clear_session()
    gc.collect()
    return np.asarray(features, np.float32)
