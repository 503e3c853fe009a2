"""Warnings that a model may be unusable, even if an exported file agrees with it.

Three problems are detected: an accuracy that could also be reached by always predicting one class, predictions that are
all the same class, and labels in another order than the outputs. Each check needs labelled images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.evaluation.predictions import Predictions
from zoo.figures import percent
from zoo.run_folder.info import ModelWarning

#: Maximum p value at which an accuracy is considered higher than that of always predicting the most frequent class.
SIGNIFICANCE = 0.05

#: Maximum p value at which another order of the labels is suggested. It is low, because this must not happen by chance.
_ORDER_SIGNIFICANCE = 0.001

#: Maximum number of labels that are listed in a sentence.
_MOST_LABELS = 30


def model_warnings(predictions: Predictions) -> tuple[ModelWarning, ...]:
    """Warnings on a model from its predictions on labelled images. Empty if there are none.

    >>> predictions = Predictions(("cat", "dog"), ("1.jpg", "2.jpg"), [0, 1], [[0.9, 0.1], [0.7, 0.3]])
    >>> [warning.kind for warning in model_warnings(predictions)]
    ['one_class', 'baseline']
    """
    if len(np.unique(predictions.true)) < 2:
        return ()  # if all images have one class, always predicting it is correct
    found = (_one_class(predictions), _baseline(predictions), _label_order(predictions))
    return tuple(warning for warning in found if warning)


def _one_class(predictions: Predictions) -> ModelWarning | None:
    predicted = np.unique(predictions.predicted)
    if len(predicted) > 1:
        return None
    label = predictions.labels[predicted[0]]
    return ModelWarning(
        "one_class",
        f"All {len(predictions)} images are predicted as '{label}': the model does not distinguish the classes.",
        {"label": label},
    )


def _baseline(predictions: Predictions) -> ModelWarning | None:
    """Uses a one-sided exact binomial test."""
    from scipy.stats import binom

    counts = np.bincount(predictions.true, minlength=len(predictions.labels))
    label, share = predictions.labels[int(counts.argmax())], float(counts.max() / len(predictions))
    right = int(predictions.correct.sum())
    accuracy = right / len(predictions)
    p = float(binom.sf(right - 1, len(predictions), share))
    if p <= SIGNIFICANCE:
        return None
    always = f"{percent(share)} of these images are '{label}', the most frequent class"
    if accuracy <= share:
        said = f"The accuracy of {percent(accuracy)} is no better than always predicting one class: {always}."
    else:
        said = (
            f"The accuracy of {percent(accuracy)} on {len(predictions)} images is not significantly above always "
            f"predicting one class: {always} (p = {p:.2g})."
        )
    return ModelWarning(
        "baseline", said, {"accuracy": accuracy, "majority_class": label, "majority_class_baseline": share, "p": p}
    )


def _label_order(predictions: Predictions) -> ModelWarning | None:
    """Another assignment of labels to outputs, if it also fits images on which it was not found.

    The assignment with the most correct predictions (Hungarian method) is found on each half of the images and tested
    on the other half. It is reported if the gain is significant (one-sided exact McNemar test).
    """
    from scipy.stats import binom

    right = np.zeros(len(predictions), bool)
    for half in (predictions.first_half, ~predictions.first_half):
        order = _best_order(predictions.true[~half], predictions.predicted[~half], len(predictions.labels))
        right[half] = order[predictions.predicted[half]] == predictions.true[half]
    gained, lost = int((right & ~predictions.correct).sum()), int((predictions.correct & ~right).sum())
    p = float(binom.sf(gained - 1, gained + lost, 0.5)) if gained > lost else 1.0
    if p > _ORDER_SIGNIFICANCE:
        return None
    order = _best_order(predictions.true, predictions.predicted, len(predictions.labels))
    labels = [predictions.labels[place] for place in order]
    accuracy, reordered = float(predictions.correct.mean()), float(right.mean())
    return ModelWarning(
        "label_order",
        f"Another order of the labels fits much better: with it {percent(reordered)} of the predictions would be "
        f"correct instead of {percent(accuracy)} (cross-validated, p = {p:.1g})."
        f" {_order_text(predictions.labels, labels)}",
        {"accuracy": accuracy, "accuracy_reordered": reordered, "labels": labels, "p": p},
    )


def _best_order(true: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The best class for each output. If several are equally good, or without images, it is the class of its label."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((classes, classes))
    np.add.at(counts, (predicted, true), 1.0)
    counts[np.diag_indices(classes)] += 0.5 / classes
    order: NDArray[np.int64] = linear_sum_assignment(counts, maximize=True)[1].astype(np.int64)
    return order


def _order_text(labels: tuple[str, ...], order: list[str]) -> str:
    if len(labels) <= _MOST_LABELS:
        return f"The order that fits is: {', '.join(order)}."
    moved = [(place, pair) for place, pair in enumerate(zip(labels, order, strict=True)) if pair[0] != pair[1]]
    shown = "; ".join(f"output {place} is '{new}', not '{old}'" for place, (old, new) in moved[:5])
    return f"{len(moved)} outputs change their label, for example: {shown}."
