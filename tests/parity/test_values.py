"""The figures of a comparison, and the verdicts of the gates."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.evaluation import Predictions, exact_interval, tango_interval
from zoo.parity import Gates, default_gates
from zoo.parity.gates import Agreed, GateResult, Paired
from zoo.parity.values import Values, compare_values

LABELS = ("cat", "dog")


def two_classes(of_cat: list[float]) -> NDArray[np.float32]:
    return np.array([[p, 1 - p] for p in of_cat], np.float32)


def compared(keras: list[float], file: list[float], true: list[int], labels: tuple[str, ...] = LABELS) -> Values:
    files = tuple(f"{number}.jpg" for number in range(len(true)))
    return compare_values(Predictions(LABELS, files, np.array(true), two_classes(keras)), two_classes(file), labels)


def test_differences_count_each_image_with_its_largest() -> None:
    found = compared([0.9, 0.8, 0.3, 0.2], [0.9, 0.8, 0.35, 0.1], [0, 0, 1, 1]).difference
    assert found is not None
    assert found.max == pytest.approx(0.1, abs=1e-6)
    assert found.mean == pytest.approx(0.0375, abs=1e-6)
    assert found.worst == "3.jpg"
    assert sum(found.counts) == 4
    assert found.counts[0] == 2


def test_the_accuracies_are_compared_in_pairs() -> None:
    keras, file, true = [0.9, 0.9, 0.9, 0.4, 0.1], [0.9, 0.45, 0.4, 0.6, 0.1], [0, 0, 1, 0, 1]
    found = compared(keras, file, true)
    assert (found.keras.accuracy, found.file.accuracy) == (0.6, 0.8)
    assert found.accuracy_difference == pytest.approx(0.2)
    assert found.accuracy_difference_interval == tango_interval(2, 1, 5)
    assert (found.agreeing, found.agreement_interval) == (2, exact_interval(2, 5))
    assert [(row.label, row.images, row.keras, row.file) for row in found.recalls] == [
        ("cat", 3, pytest.approx(2 / 3), pytest.approx(2 / 3)),
        ("dog", 2, 0.5, 1.0),
    ]
    assert [flip.file for flip in found.flips] == ["1.jpg", "2.jpg", "3.jpg"]
    assert found.flip_margin == pytest.approx(0.8)


def test_outputs_are_read_by_their_labels() -> None:
    found = compared([0.9, 0.2], [0.1, 0.8], [0, 1], labels=("dog", "cat"))
    assert found.agreeing == 2
    assert compared([0.9, 0.2], [0.1, 0.8], [0, 1], labels=("Dog", "Cat")).agreeing == 0


def test_classes_without_images_have_no_recall() -> None:
    assert [row.label for row in compared([0.9], [0.9], [0]).recalls] == ["cat"]


def judged(
    gates: Gates,
    difference: float | None = None,
    flip_margin: float = 1.0,
    agreeing: int = 0,
    only_keras: int = 0,
    only_file: int = 0,
) -> tuple[GateResult, ...]:
    agreed = [Agreed(splits={"test": 150}, agreeing=agreeing)]
    paired = Paired(images=150, only_keras=only_keras, only_file=only_file)
    return gates.judge(difference=difference, flip_margin=flip_margin, agreed=agreed, paired=paired)


@pytest.mark.parametrize(("agreeing", "passes"), [(150, True), (147, True), (146, False)])
def test_a_share_at_the_limit_passes(agreeing: int, passes: bool) -> None:
    results = judged(default_gates("int8"), difference=0.5, flip_margin=1, agreeing=agreeing)
    assert [(gate.name, gate.passed) for gate in results] == [("min_agreement", passes), ("max_accuracy_drop", True)]


@pytest.mark.parametrize(
    ("precision", "difference", "margin", "passed"),
    [
        ("float32", 1e-4, 1e-3, [True, True]),
        ("float32", 1.1e-4, 0.9e-3, [False, True]),
        ("float32", 0.0, 1.1e-3, [True, False]),
        ("float16", 1e-2, 1e-2, [True, True]),
        ("float16", 1.1e-2, 2e-2, [False, False]),
        ("float32", None, 0.0, [False, True]),
        ("float32", float("nan"), 0.0, [False, True]),
        ("int4", 1e-3, 0.0, [False, True]),
    ],
)
def test_default_gates(precision: str, difference: float | None, margin: float, passed: list[bool]) -> None:
    gates = default_gates(precision)
    results = judged(gates, difference=difference, flip_margin=margin)
    assert [gate.passed for gate in results] == passed


def test_an_accuracy_that_rises_is_no_drop() -> None:
    gates = Gates(max_accuracy_drop=0.0)
    assert judged(gates, only_file=30)[0].passed
    assert not judged(gates, only_keras=5)[0].passed
