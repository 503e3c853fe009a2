"""How good a candidate is: the head that cross-validation on the training images chooses for its frozen backbone."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass

from zoo.data import ImageData
from zoo.errors import DataError
from zoo.evaluation.intervals import wilson_interval
from zoo.evaluation.predictions import Predictions
from zoo.interfaces import Architecture
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.searching.candidate import Candidate, Judged
from zoo.training.heads.choose import ChosenHead

#: How the winner is trained, and so what is judged: the settings of ``zoo train`` that go with ``Candidate.way``.
WAYS: dict[str, dict[str, object]] = {"head": {"head": "chosen", "epochs": 0}}


@dataclass(frozen=True)
class Judgement:
    """What cross-validation found.

    Args:
        judged: The figures.
        predictions: Of the first repeat: every image by a head that was fitted without it and what looks like it.
    """

    judged: Judged
    predictions: Predictions


def judge(candidate: Candidate, photos: ImageData, reporter: Reporter) -> Judgement:
    """Cross-validates the heads that ``zoo train`` chooses among, on the features of a candidate's frozen backbone.

    Args:
        candidate: What to judge.
        photos: The images that choose, by any image rule.
        reporter: Told of progress.

    Raises:
        DataError: A class has too few images that do not look alike, or files have changed.
        PluginError: The plugin fails.
    """
    start = time.perf_counter()
    data = photos.seen_as(candidate.image, reporter.counter("decoding"))
    chosen = _choose(architectures().get(candidate.architecture), data, reporter)
    info = chosen.info
    if info.accuracy is None or info.brier_score is None:
        raise DataError(
            "Cross-validation needs two different training images of each class, and a class has not as many.",
            "Add images: five of each class are the least, fifty are a beginning.",
        )
    count = len(chosen.positions)
    judged = Judged(
        accuracy=info.accuracy,
        accuracy_interval=wilson_interval(round(info.accuracy * count), count),
        brier_score=info.brier_score,
        n=count,
        folds=info.folds,
        repeats=info.repetitions,
        seconds=round(time.perf_counter() - start, 2),
    )
    files = tuple(data.names[position] for position in chosen.positions)
    return Judgement(judged, Predictions(data.labels, files, data.classes[chosen.positions], chosen.probabilities))


def _choose(architecture: Architecture, data: ImageData, reporter: Reporter) -> ChosenHead:
    import keras

    from zoo.training.heads.frozen import choose_for, features_of_depths
    from zoo.training.model import build_model

    model = build_model(architecture, data.spec.input_shape, len(data.labels))
    architecture.weights[0].load(model, False)
    recipe = architecture.recipes["default"].with_values({**WAYS["head"], "augmentation": "none"})
    features, _ = features_of_depths(model, architecture, data, recipe, reporter.counter("features"))
    del model
    keras.backend.clear_session()
    gc.collect()
    return choose_for(features, data, recipe, 0, reporter.counter("choosing"))
