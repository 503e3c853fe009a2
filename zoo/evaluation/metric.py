"""The scalar metrics in the terminal, the report, the comparison, the model card and ``metrics.json``.

To add a metric, write a function of the predictions and an entry in ``METRICS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from zoo.evaluation.predictions import Predictions
from zoo.figures import percent
from zoo.run_folder.info import Bin, Metrics

#: Probabilities are clipped to [clip, 1 - clip] before the logarithm, because one zero would make the loss infinite.
LOG_LOSS_CLIP = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A scalar metric.

    Args:
        name: Name in ``metrics.json`` and as attribute of ``run.metrics``.
        title: Title, such as ``macro F1``.
        compute: Computes the value from predictions on labelled images. ``None`` if it is not defined for them.
        format: Formats the value as text.
        meaning: A short explanation for the report.
        of_probabilities: Whether it depends on the probabilities, not only on the predicted classes.
    """

    name: str
    title: str
    compute: Callable[[Predictions], float | None]
    format: Callable[[float], str]
    meaning: str
    of_probabilities: bool = False

    def text(self, value: float | None) -> str:
        """The value as text, or a hyphen if it is not defined."""
        return "-" if value is None else self.format(value)


def compute_scalars(predictions: Predictions) -> dict[str, float | None]:
    """Computes every metric, by name."""
    return {metric.name: metric.compute(predictions) for metric in METRICS}


def defined(metrics: Metrics) -> Iterator[tuple[Metric, float]]:
    """Every metric that is defined on the measured images, with its value."""
    for metric in METRICS:
        value = metrics.scalars.get(metric.name)
        if value is not None:
            yield metric, value


def top_k_accuracy(predictions: Predictions, k: int) -> float | None:
    """Share of images whose true class is among the ``k`` most probable. It is defined for more than 5 classes.

    If probabilities are equal, the class that comes first is considered more probable.
    """
    if len(predictions.labels) <= 5:
        return None
    true = predictions.true[:, None]
    of_true = np.take_along_axis(predictions.probabilities, true, axis=1)
    earlier = np.arange(len(predictions.labels)) < true
    ahead = (predictions.probabilities > of_true) | ((predictions.probabilities == of_true) & earlier)
    return float(np.mean(ahead.sum(axis=1) < k))


def macro_f1(predictions: Predictions) -> float:
    """Mean of F1 over the classes that have images."""
    from sklearn.metrics import f1_score

    tested = np.unique(predictions.true)
    return float(f1_score(predictions.true, predictions.predicted, labels=tested, average="macro", zero_division=0))


def balanced_accuracy(predictions: Predictions) -> float:
    """Mean of recall over the classes that have images."""
    found = [predictions.correct[predictions.true == label].mean() for label in np.unique(predictions.true)]
    return float(np.mean(found))


def log_loss(predictions: Predictions) -> float:
    """Mean of -ln p(true class) in nats, p clipped to [clip, 1 - clip]."""
    of_true = predictions.probabilities[np.arange(len(predictions)), predictions.true].astype(np.float64)
    return float(-np.log(np.clip(of_true, LOG_LOSS_CLIP, 1 - LOG_LOSS_CLIP)).mean())


def expected_calibration_error(predictions: Predictions) -> float:
    """Mean absolute difference of confidence and accuracy over the reliability bins, weighted by their counts.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", eq. 3.
    """
    bins = calibration_bins(predictions)
    gaps = [abs((each.confidence or 0.0) - (each.accuracy or 0.0)) * each.count for each in bins]
    return sum(gaps) / len(predictions)


def number(value: float) -> str:
    return f"{value:.3f}"


#: All metrics, in the order in which they are shown.
METRICS: tuple[Metric, ...] = (
    *(
        Metric(
            name=f"top_{k}_accuracy",
            title=f"top-{k} accuracy",
            compute=partial(top_k_accuracy, k=k),
            format=percent,
            meaning=f"the true class is among the {k} most probable",
        )
        for k in (3, 5)
    ),
    Metric(
        name="macro_f1",
        title="macro F1",
        compute=macro_f1,
        format=number,
        meaning="mean over the classes with test images",
    ),
    Metric(
        name="balanced_accuracy",
        title="balanced accuracy",
        compute=balanced_accuracy,
        format=percent,
        meaning="mean recall over the classes",
    ),
    Metric(
        name="log_loss",
        title="log loss",
        compute=log_loss,
        format=number,
        meaning="in nats; 0 if all predictions are certain and correct",
        of_probabilities=True,
    ),
    Metric(
        name="expected_calibration_error",
        title="calibration error",
        compute=expected_calibration_error,
        format=percent,
        meaning="mean difference of confidence and accuracy",
        of_probabilities=True,
    ),
)


#: Bins of the reliability diagram, of equal width, closed on the right (Guo et al. 2017).
CALIBRATION_BINS = 15


def calibration_bins(predictions: Predictions) -> tuple[Bin, ...]:
    """The predictions in bins of their confidence. Confidence and accuracy of an empty bin are ``None``."""
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    confidence = predictions.confidence.astype(np.float64)
    place = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, CALIBRATION_BINS - 1)
    counts = np.bincount(place, minlength=CALIBRATION_BINS)
    confidences = _means(confidence, place, counts)
    accuracies = _means(predictions.correct.astype(np.float64), place, counts)
    return tuple(
        Bin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            count=int(counts[index]),
            confidence=float(confidences[index]) if counts[index] else None,
            accuracy=float(accuracies[index]) if counts[index] else None,
        )
        for index in range(CALIBRATION_BINS)
    )


def _means(
    values: npt.NDArray[np.float64], place: npt.NDArray[np.intp], counts: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Mean of the values in each bin, 0 for an empty bin."""
    return np.bincount(place, weights=values, minlength=len(counts)) / np.maximum(counts, 1)
