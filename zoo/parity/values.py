"""Comparison of the predictions of an exported file and of Keras. Probabilities, margins and shares are from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.evaluation import Predictions, compute_metrics, exact_interval, tango_interval, wilson_interval
from zoo.evaluation.threshold import Choice
from zoo.evaluation.warnings import model_warnings
from zoo.run_folder.info import ModelWarning

#: Tolerance for outputs, which must be probabilities from 0 to 1 with rows that sum to 1. The gates alone do not ensure
#: this: those of int8 do not limit values, and logits would agree in every prediction.
PROBABILITY_TOLERANCE = 1e-2

#: Upper limits of the intervals in which differences are counted.
DECADES = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, float("inf"))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Absolute differences of probabilities. The difference of an image is the maximum over its classes.

    Args:
        max, mean, p99: Maximum, mean and 99th percentile over the images.
        worst: File with the maximum difference.
        counts: Number of images with a difference of 0, up to 1e-7, up to 1e-6, ... up to 0.1, and above.
    """

    max: float
    mean: float
    p99: float
    worst: str
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Flip:
    """An image with different predictions.

    Args:
        file: Its name.
        label: Its true class.
        keras, answered: The predictions of Keras and of the file.
        keras_confidence, confidence: The probabilities of these predictions.
        margin: Keras's probability of its own prediction minus its probability of the file's prediction.
    """

    file: str
    label: str
    keras: str
    answered: str
    keras_confidence: float
    confidence: float
    margin: float


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Quality of the predictions of Keras or of the file.

    Args:
        accuracy: Accuracy. Outputs that are not finite count as wrong.
        accuracy_interval: Its 95 % Wilson interval.
        log_loss: Log loss in nats. ``None`` if the outputs are not probabilities.
        calibration_error: Expected calibration error. ``None`` if the outputs are not probabilities.
        min_confidence: Suggested confidence threshold, as in ``zoo.evaluation.threshold``. ``None`` if there is none.
    """

    accuracy: float
    accuracy_interval: tuple[float, float]
    log_loss: float | None
    calibration_error: float | None
    min_confidence: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Recall of a class for Keras and for the file. Classes without images are left out."""

    label: str
    images: int
    keras: float
    file: float

    @property
    def change(self) -> float:
        return self.file - self.keras


@dataclass(frozen=True, kw_only=True)
class Values:
    """The comparison of the predictions of Keras and of the file on the same images.

    Args:
        difference: Differences of probabilities. ``None`` if no output of the file is finite.
        not_finite: Images for which the file's output contains NaN or infinity. They count as disagreement.
        lowest, highest: Range of the file's finite outputs. ``None`` if there are none.
        row_sum_error: Maximum deviation of the sum of a finite output from 1. ``None`` if there are none.
        agreeing: Number of images with the same predicted class.
        agreement, agreement_interval: Their share, and its exact 95 % interval (Clopper-Pearson).
        flips: Images with finite outputs and different predictions, largest margin first.
        keras, file: Quality of Keras and of the file.
        only_keras, only_file: Number of images that only one of the two classifies correctly.
        accuracy_difference, accuracy_difference_interval: Accuracy of the file minus that of Keras, and its 95 %
            interval (Tango, paired).
        recalls: Recalls in the order of the labels.
        warnings: Warnings that the model may be unusable, even if the file agrees with it.
    """

    difference: Difference | None
    not_finite: tuple[str, ...]
    lowest: float | None
    highest: float | None
    row_sum_error: float | None
    agreeing: int
    agreement: float
    agreement_interval: tuple[float, float]
    flips: tuple[Flip, ...]
    keras: Quality
    file: Quality
    only_keras: int
    only_file: int
    accuracy_difference: float
    accuracy_difference_interval: tuple[float, float]
    recalls: tuple[Recall, ...]
    warnings: tuple[ModelWarning, ...] = ()

    @property
    def flip_margin(self) -> float:
        """The maximum margin of a flip. 0 without flips."""
        return max((flip.margin for flip in self.flips), default=0.0)

    @property
    def probabilities(self) -> bool:
        """Whether the finite outputs are probabilities."""
        if self.lowest is None or self.highest is None or self.row_sum_error is None:
            return False
        outside = max(-self.lowest, self.highest - 1, self.row_sum_error)
        return outside <= PROBABILITY_TOLERANCE


def compare_values(
    keras: Predictions,
    outputs: NDArray[np.float32],
    labels: tuple[str, ...],
    choice: Choice | None = None,
    file_choice: Choice | None = None,
) -> Values:
    """Compares the predictions image by image.

    Args:
        keras: Predictions of Keras. ``keras.labels`` are the labels of the model.
        outputs: Outputs of the file, ``(n, classes)``, with any values.
        labels: Labels of the file. If they are those of the model in another order, outputs are matched by label,
            because users read labels.
        choice, file_choice: Confidence thresholds chosen on validation images, for Keras and for the file. ``None``:
            the threshold of each half of these images is chosen on the other half.
    """
    outputs = by_label(outputs, labels, keras.labels)
    n, rows = len(keras), np.arange(len(keras))
    finite = np.isfinite(outputs).all(axis=1)
    answered = np.where(finite, outputs.argmax(axis=1), -1)
    agreeing = int((answered == keras.predicted).sum())
    flipped = np.flatnonzero(finite & (answered != keras.predicted))
    margins = keras.confidence[rows] - keras.probabilities[rows, answered]
    right = answered == keras.true
    only_file, only_keras = int((right & ~keras.correct).sum()), int((keras.correct & ~right).sum())
    values = outputs if finite.all() else outputs[finite]
    file = _as_predictions(keras, outputs)
    return Values(
        difference=_difference(keras, outputs, np.flatnonzero(finite)),
        not_finite=tuple(keras.files[row] for row in np.flatnonzero(~finite)),
        lowest=float(values.min()) if values.size else None,
        highest=float(values.max()) if values.size else None,
        row_sum_error=float(np.abs(values.sum(axis=1, dtype=np.float64) - 1).max()) if values.size else None,
        agreeing=agreeing,
        agreement=agreeing / n,
        agreement_interval=exact_interval(agreeing, n),
        flips=tuple(
            Flip(
                file=keras.files[row],
                label=keras.labels[keras.true[row]],
                keras=keras.labels[keras.predicted[row]],
                answered=keras.labels[answered[row]],
                keras_confidence=float(keras.confidence[row]),
                confidence=float(outputs[row, answered[row]]),
                margin=float(margins[row]),
            )
            for row in flipped[np.argsort(-margins[flipped], kind="stable")]
        ),
        keras=_quality(keras.correct, keras, choice),
        file=_quality(right, file, file_choice),
        only_keras=only_keras,
        only_file=only_file,
        accuracy_difference=(only_file - only_keras) / n,
        accuracy_difference_interval=tango_interval(only_file, only_keras, n),
        recalls=_recalls(keras, right),
        warnings=_warnings(keras, file),
    )


def by_label(outputs: NDArray[np.float32], found: Sequence[str], wanted: tuple[str, ...]) -> NDArray[np.float32]:
    """The outputs in the order of the expected labels, if ``found`` contains the same labels in another order."""
    if tuple(found) == wanted or sorted(found) != sorted(wanted):
        return outputs
    place = {label: output for output, label in enumerate(found)}
    return outputs[:, [place[label] for label in wanted]]


def _difference(keras: Predictions, outputs: NDArray[np.float32], rows: NDArray[np.intp]) -> Difference | None:
    if not rows.size:
        return None
    # Computed row by row, because the table of all differences would be as large as all predictions.
    largest = np.array([np.abs(outputs[row].astype(np.float64) - keras.probabilities[row]).max() for row in rows])
    places = np.searchsorted(DECADES, largest)
    return Difference(
        max=float(largest.max()),
        mean=float(largest.mean()),
        p99=float(np.quantile(largest, 0.99)),
        worst=keras.files[rows[largest.argmax()]],
        counts=tuple(np.bincount(places, minlength=len(DECADES)).tolist()),
    )


def _as_predictions(keras: Predictions, outputs: NDArray[np.float32]) -> Predictions | None:
    """The file's outputs as predictions, if they are probabilities."""
    tolerance = PROBABILITY_TOLERANCE
    if not (np.isfinite(outputs).all() and outputs.min() >= -tolerance and outputs.max() <= 1 + tolerance):
        return None
    return Predictions(keras.labels, keras.files, keras.true, np.clip(outputs, 0, 1))


def _quality(right: NDArray[np.bool_], outputs: Predictions | None, choice: Choice | None) -> Quality:
    metrics = compute_metrics(outputs, choice=choice) if outputs else None
    threshold = metrics.min_confidence if metrics else None
    count = int(right.sum())
    return Quality(
        accuracy=count / len(right),
        accuracy_interval=wilson_interval(count, len(right)),
        log_loss=metrics.log_loss if metrics else None,
        calibration_error=metrics.expected_calibration_error if metrics else None,
        min_confidence=asdict(threshold) if threshold else None,
    )


def _warnings(keras: Predictions, file: Predictions | None) -> tuple[ModelWarning, ...]:
    """The warnings for Keras, and those that apply only to the file."""
    found = model_warnings(keras)
    known = {warning.kind for warning in found}
    own = [warning for warning in (model_warnings(file) if file else ()) if warning.kind not in known]
    return (*found, *(replace(warning, sentence=f"For the file: {warning.sentence}") for warning in own))


def _recalls(keras: Predictions, right: NDArray[np.bool_]) -> tuple[Recall, ...]:
    classes = len(keras.labels)
    images = np.bincount(keras.true, minlength=classes)
    of_keras = np.bincount(keras.true[keras.correct], minlength=classes)
    of_file = np.bincount(keras.true[right], minlength=classes)
    return tuple(
        Recall(
            label=keras.labels[place],
            images=int(images[place]),
            keras=float(of_keras[place] / images[place]),
            file=float(of_file[place] / images[place]),
        )
        for place in np.flatnonzero(images)
    )
