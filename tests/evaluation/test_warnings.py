"""Warnings about a model: useless accuracy, a single class, labels in another order; and when there are none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.evaluation.predictions import Predictions
from zoo.evaluation.warnings import ModelWarning, model_warnings

LABELS = ("bird", "building", "food", "insect", "mammal", "scenery", "vehicle")


def predictions(true: NDArray[np.int64], predicted: NDArray[np.int64], labels: tuple[str, ...] = LABELS) -> Predictions:
    probabilities = np.full((len(true), len(labels)), 0.1 / len(labels), np.float32)
    probabilities[np.arange(len(true)), predicted] += 0.9
    return Predictions(labels, tuple(map(str, range(len(true)))), true, probabilities)


def drawn(n: int, accuracy: float, classes: int = 7, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """True classes, and predictions of which this share is correct and the others are random."""
    random = np.random.default_rng(seed)
    true = random.integers(0, classes, n)
    return true, np.where(random.random(n) < accuracy, true, random.integers(0, classes, n))


def kinds(found: tuple[ModelWarning, ...]) -> list[str]:
    return [warning.kind for warning in found]


@pytest.mark.parametrize("accuracy", [0.5, 0.9, 1.0])
def test_a_model_of_use_is_not_doubted(accuracy: float) -> None:
    assert model_warnings(predictions(*drawn(120, accuracy))) == ()


def test_labels_in_reverse_order_are_found_and_the_order_that_fits_is_given() -> None:
    true, predicted = drawn(60, 0.95)
    order, baseline = sorted(model_warnings(predictions(true, 6 - predicted)), key=lambda warning: warning.kind)[::-1]
    assert (order.kind, baseline.kind) == ("label_order", "baseline")
    assert order.values["labels"] == list(reversed(LABELS))
    assert order.values["accuracy"] < 0.2 < 0.8 < order.values["accuracy_reordered"]
    assert f"The order that fits is: {', '.join(reversed(LABELS))}." in order.sentence
    assert "is no better than always predicting one class" in baseline.sentence


def test_two_labels_that_changed_places_are_found_in_a_model_that_is_right_otherwise() -> None:
    true, predicted = drawn(200, 0.95)
    swapped = np.array([0, 1, 6, 3, 4, 5, 2])
    (order,) = model_warnings(predictions(true, swapped[predicted]))
    assert [LABELS.index(label) for label in order.values["labels"]] == swapped.tolist()


def test_among_many_labels_the_moved_ones_are_named() -> None:
    labels = tuple(f"class {place}" for place in range(40))
    true, predicted = drawn(400, 0.95, 40)
    sentence = next(
        warning.sentence
        for warning in model_warnings(predictions(true, (predicted + 1) % 40, labels))
        if warning.kind == "label_order"
    )
    assert "40 outputs change their label, for example: output 0 is 'class 39', not 'class 0';" in sentence


def test_chance_suggests_no_order() -> None:
    suggested = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        n, classes = int(random.integers(4, 120)), int(random.integers(2, 8))
        true, predicted = random.integers(0, classes, (2, n))
        suggested += "label_order" in kinds(model_warnings(predictions(true, predicted, LABELS[:classes])))
    assert suggested <= 1


def test_a_model_that_predicts_one_class_is_named() -> None:
    true = np.repeat(np.arange(7), 6)
    found = model_warnings(predictions(true, np.full(42, 3)))
    assert kinds(found) == ["one_class", "baseline"]
    assert found[0].sentence == "All 42 images are predicted as 'insect': the model does not distinguish the classes."


def test_an_accuracy_that_chance_explains_is_told_as_such() -> None:
    true = np.array([0, 1] * 6)
    predicted = true.copy()
    predicted[:4] = 1 - predicted[:4]
    (found,) = model_warnings(predictions(true, predicted, ("cat", "dog")))
    assert found.sentence.startswith("The accuracy of 66.7 % on 12 images is not significantly above always")


def test_images_of_one_class_tell_nothing() -> None:
    assert model_warnings(predictions(np.zeros(30, int), np.zeros(30, int))) == ()
    assert model_warnings(predictions(np.zeros(30, int), np.full(30, 2))) == ()
