"""Images that were not used to quantise an 8-bit file, in addition to the verification images.

Agreement needs no labels, so every such image is evidence: the validation images, and the training images that were
not used for ranges or distillation. Keras is more confident on training images, because it was trained on them.
Therefore these images are only used in addition to the test images, which must also meet the limit alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.data import TRAIN, VAL, ImageData
from zoo.errors import DataError
from zoo.evaluation import Predictions
from zoo.evaluation.predict import predict
from zoo.evaluation.recorded import recorded_rows
from zoo.evaluation.threshold import Choice, choose
from zoo.evaluation.trained import TrainedModel
from zoo.run_folder import Run

#: Number of images on which agreement is judged. With this number, both errors of the gate are below one in a thousand.
ENOUGH = 1000

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Unused:
    """The images and the predictions of Keras.

    Args:
        data: The data. All images are used.
        expected: Probabilities of Keras, float32 ``(n, classes)``.
    """

    data: ImageData
    expected: NDArray[np.float32]

    @property
    def indices(self) -> NDArray[np.int64]:
        return np.arange(len(self.data.names))


def unused_images(
    reference: TrainedModel,
    judged: Collection[str],
    calibrating: Collection[str] | None,
    progress: Progress | None = None,
) -> ImageData | None:
    """Images of the model's run that may be used in addition to its test images.

    Args:
        reference: The model.
        judged: SHA-256 of the verification images.
        calibrating: SHA-256 of the calibration images. ``None`` if unknown; then no training image is used.
        progress: Called with files done and files to do, while files are decoded.

    Returns:
        Up to ``ENOUGH`` images including the verification images, validation images first. ``None`` if there are none.
    """
    if reference.run is None:
        return None
    taken = {*judged, *(calibrating or ())}
    splits = (VAL,) if calibrating is None else (VAL, TRAIN)
    candidates = {
        row["sha256"]: row
        for split in reversed(splits)  # if an image is in both, the validation image is used
        for row in reference.run.split()
        if row["split"] == split and row["sha256"] not in taken
    }
    ordered = sorted(candidates.values(), key=lambda row: (splits.index(row["split"]), row["sha256"]))
    chosen = ordered[: max(0, ENOUGH - len(judged))]
    if not chosen:
        return None
    try:
        return recorded_rows(reference.run, chosen, progress, partly=True)
    except DataError:  # none of the files exists any more
        return None


def ask_unused(reference: TrainedModel, data: ImageData | None, progress: Progress | None = None) -> Unused | None:
    """The images with the predictions of Keras, computed once for all files of a model."""
    if data is None:
        return None
    return Unused(data, predict(reference.load(), data, np.arange(len(data.names)), progress))


def choice_of_file(
    recorded: Choice | None, unused: Unused | None, outputs: NDArray[np.float32] | None
) -> Choice | None:
    """The confidence thresholds of a file: chosen with its own probabilities, if there are any for the validation
    images, on which the run chose its thresholds. Otherwise those of the run.

    Args:
        recorded: The thresholds of the run. If they were chosen on folds, the model was trained on the validation
            images, or there are none.
        unused: Images that were not used to quantise the file.
        outputs: Probabilities of the file for these images.
    """
    if recorded is None or recorded.by != "val" or unused is None or outputs is None:
        return recorded
    return _chosen_on_validation(unused, outputs) or recorded


def _chosen_on_validation(unused: Unused, outputs: NDArray[np.float32]) -> Choice | None:
    rows = np.flatnonzero(np.array(unused.data.splits) == VAL)
    found = outputs[rows]
    if not (np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()):
        return None
    files = tuple(unused.data.names[row] for row in rows)
    return choose(Predictions(unused.data.labels, files, unused.data.classes[rows], found))


def recorded_choice(run: Run | None) -> Choice | None:
    """The thresholds that a run chose on its validation images. ``None`` if it chose none, as in older runs."""
    if run is None or not run.finished:
        return None
    found = run.metrics.min_confidence
    if found is None or found.chosen_on not in ("val", "folds"):
        return None
    first, *others = ((point.target_accuracy, point.suggested) for point in (found, *found.curve))
    by: Literal["val", "folds"] = "folds" if found.chosen_on == "folds" else "val"
    return Choice(first, tuple(others), found.chosen_images, by)
