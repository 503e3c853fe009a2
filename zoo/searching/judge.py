"""Evaluates a candidate: cross-validation on the training images chooses a head for its frozen backbone."""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zoo.data import TEST, TRAIN, ImageData
from zoo.data.dataset import load_recorded
from zoo.errors import DataError, PluginError, UsageError, quoted
from zoo.evaluation.intervals import wilson_interval
from zoo.evaluation.predictions import Predictions
from zoo.interfaces import Architecture
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.searching.candidate import Candidate, Judged
from zoo.training.heads.choose import ChosenHead


def choosing_photos(data: ImageData) -> ImageData:
    """The images of ``data`` for cross-validation, all marked as training images.

    Raises:
        DataError: Fewer than two classes, or fewer than half of them, have enough images for cross-validation.
    """
    rows = [(*row[:2], TRAIN, row[3]) for row in data.rows() if row[2] != TEST]
    different: dict[str, set[str]] = defaultdict(set)
    for _, label, _, sha256 in rows:
        different[label].add(sha256)
    few = [label for label in data.labels if len(different[label]) < 2]
    if len(data.labels) - len(few) < max(2, len(data.labels) / 2):
        raise DataError(
            f"Too few images in class(es) {quoted(few)}: cross-validation needs two different training images of two"
            " classes, and of at least half of all classes, in addition to the test images.",
            "Add images. The minimum is five per class, and fifty per class are a good start.",
        )
    named = [dict(zip(("path", "label", "split", "sha256"), row, strict=True)) for row in rows]
    return load_recorded(named, data.source, data.root, data.spec, data.labels)


#: Settings of ``zoo train`` for each ``Candidate.way``. The winner is trained and candidates are evaluated with them.
WAYS: dict[str, dict[str, object]] = {"head": {"head": "chosen", "epochs": 0}}


@dataclass(frozen=True)
class Judgement:
    """The result of cross-validation.

    Args:
        judged: The figures.
        predictions: Predictions of the first repeat. Each image is predicted by a head that was fitted without it and
            similar images.
    """

    judged: Judged
    predictions: Predictions


def judge(candidate: Candidate, data: ImageData, reporter: Reporter, start: float) -> Judgement:
    """Cross-validates the candidate heads of ``zoo train`` on the features of a candidate's frozen backbone.

    Args:
        candidate: The candidate.
        data: The images for cross-validation, with the image specification of the candidate.
        reporter: Receives the progress.
        start: Value of ``time.perf_counter()`` when the candidate was begun.

    Raises:
        DataError: Too few classes have images that are dissimilar for this backbone.
        PluginError: The plugin fails.
    """
    chosen = _choose(architectures().get(candidate.architecture), data, reporter)
    info = chosen.info
    if info.accuracy is None or info.brier_score is None:
        raise DataError(
            "Cross-validation needs two different training images of two classes, and of at least half of all.",
            "Add images. The minimum is five per class, and fifty per class are a good start.",
        )
    count = len(chosen.positions)
    judged = Judged(
        accuracy=info.accuracy,
        accuracy_interval=wilson_interval(round(info.accuracy * count), count),
        brier_score=info.brier_score,
        n=count,
        folds=info.folds,
        repeats=info.averaged,
        seconds=round(time.perf_counter() - start, 2),
    )
    files = tuple(data.names[position] for position in chosen.positions)
    return Judgement(judged, Predictions(data.labels, files, data.classes[chosen.positions], chosen.probabilities))


@contextmanager
def blaming_the_plugin() -> Iterator[None]:
    """Turns a ``UsageError`` into a ``PluginError``, which concerns only one architecture.

    An architecture raises it if it refuses an image size, or if its weights cannot be used.
    """
    try:
        yield
    except UsageError as error:
        raise PluginError(error.message, error.hint) from error


def _choose(architecture: Architecture, data: ImageData, reporter: Reporter) -> ChosenHead:
    import keras

    from zoo.training.heads.frozen import choose_for, features_of_depths
    from zoo.training.model import build_model

    with blaming_the_plugin():
        model = build_model(architecture, data.spec.input_shape, len(data.labels))
        architecture.weights[0].load(model, False)
    recipe = architecture.recipes["default"].with_values({**WAYS["head"], "augmentation": "none"})
    features, _ = features_of_depths(model, architecture, data, recipe, reporter.counter("features"))
    del model
    keras.backend.clear_session()
    gc.collect()
    return choose_for(features, data, recipe, 0, reporter.counter("choosing"))
