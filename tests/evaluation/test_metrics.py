from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sklearn.metrics as reference

from zoo.errors import DataError
from zoo.evaluation import Predictions, compute_metrics, wilson_interval
from zoo.run_folder.info import Bin, Confused, Metrics


def answers(k: int, n: int, seed: int = 0, strength: float = 1.5) -> Predictions:
    rng = np.random.default_rng(seed)
    true = np.concatenate([np.arange(k), rng.integers(0, k, n - k)]) if n >= k else rng.integers(0, k, n)
    logits = rng.normal(0, 1, (n, k))
    logits[np.arange(n), true] += strength
    odds = np.exp(logits)
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return Predictions(tuple(f"c{i}" for i in range(k)), tuple(f"{i}.jpg" for i in range(n)), true, probabilities)


def by_hand() -> Predictions:
    """Six images, three classes, of which the last has no test image."""
    probabilities = [[0.9, 0.1, 0], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.4, 0.5, 0.1], [0.3, 0.3, 0.4], [0.1, 0.9, 0]]
    true = np.array([0, 0, 0, 1, 1, 1])
    return Predictions(("a", "b", "c"), tuple("123456"), true, np.array(probabilities, np.float32))


def test_figures_worked_out_by_hand() -> None:
    metrics = compute_metrics(by_hand(), {"a": 10, "b": 30, "c": 5})
    assert metrics.n == 6
    assert metrics.accuracy == pytest.approx(4 / 6)
    assert metrics.accuracy_interval == pytest.approx(wilson_interval(4, 6))
    assert metrics.majority_class == "a"
    assert metrics.majority_class_baseline == 0.5
    assert metrics.confusion_matrix == ((2, 1, 0), (0, 2, 1), (0, 0, 0))
    assert metrics.most_confused == (
        Confused(true="a", predicted="b", count=1),
        Confused(true="b", predicted="c", count=1),
    )
    first, second, third = metrics.per_class
    assert (first.label, first.train_images, first.support, first.predicted) == ("a", 10, 3, 2)
    assert (first.precision, first.recall, first.f1) == pytest.approx((1.0, 2 / 3, 0.8))
    assert (second.precision, second.recall) == pytest.approx((2 / 3, 2 / 3))
    assert (third.precision, third.recall, third.f1, third.support) == (None, None, None, 0)
    assert metrics.evaluated_classes == 2
    assert metrics.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert metrics.balanced_accuracy == pytest.approx(2 / 3)
    assert metrics.top_k_accuracy is None
    expected = -np.mean(np.log([0.9, 0.6, 0.2, 0.5, 0.3, 0.9]))
    assert metrics.log_loss == pytest.approx(expected, rel=1e-6)
    assert metrics.mean_confidence == pytest.approx(np.mean([0.9, 0.6, 0.7, 0.5, 0.4, 0.9]), rel=1e-6)


def test_calibration_error_worked_out_by_hand() -> None:
    # Confidences 0.9 and 0.9 (both right), 0.6 (right), 0.7 (wrong), 0.5 (right), 0.4 (wrong): five bins.
    metrics = compute_metrics(by_hand())
    expected = (2 * 0.1 + 0.4 + 0.7 + 0.5 + 0.4) / 6
    assert metrics.expected_calibration_error == pytest.approx(expected, rel=1e-5)
    bins = metrics.calibration_bins
    assert len(bins) == 15
    assert [item.count for item in bins if item.count] == [1, 1, 1, 1, 2]
    assert sum(item.count for item in bins) == 6
    assert bins[0] == Bin(low=0.0, high=bins[0].high, count=0, confidence=None, accuracy=None)
    assert bins[0].high == pytest.approx(1 / 15)


@pytest.mark.parametrize(("k", "n"), [(2, 150), (7, 90), (10, 500)])
def test_agrees_with_scikit_learn(k: int, n: int) -> None:
    given = answers(k, n, seed=k)
    metrics = compute_metrics(given)
    true, predicted = given.true, given.predicted
    assert metrics.accuracy == pytest.approx(reference.accuracy_score(true, predicted))
    assert metrics.macro_f1 == pytest.approx(reference.f1_score(true, predicted, average="macro"))
    assert metrics.balanced_accuracy == pytest.approx(reference.balanced_accuracy_score(true, predicted))
    assert metrics.confusion_matrix == tuple(map(tuple, reference.confusion_matrix(true, predicted).tolist()))
    doubles = given.probabilities.astype(np.float64)
    doubles /= doubles.sum(axis=1, keepdims=True)
    assert metrics.log_loss == pytest.approx(reference.log_loss(true, doubles, labels=range(k)), rel=1e-5)
    for size in (3, 5) if k > 5 else ():
        share = reference.top_k_accuracy_score(true, given.probabilities, k=size, labels=range(k))
        assert metrics.top_k_accuracy[str(size)] == pytest.approx(share)


def test_a_single_image() -> None:
    metrics = compute_metrics(Predictions(("a", "b"), ("1",), np.array([1]), np.array([[0.0, 1.0]])), {"a": 3, "b": 3})
    assert metrics.accuracy == 1.0
    assert metrics.accuracy_interval == pytest.approx([0.2065, 1.0], abs=1e-4)
    assert (metrics.majority_class, metrics.majority_class_baseline) == ("b", 1.0)
    assert metrics.macro_f1 == 1.0
    assert metrics.expected_calibration_error == 0.0


def test_certain_and_wrong_is_a_finite_loss() -> None:
    metrics = compute_metrics(Predictions(("a", "b"), ("1",), np.array([0]), np.array([[0.0, 1.0]])))
    assert metrics.log_loss == pytest.approx(-math.log(metrics.log_loss_clip))


def test_a_class_never_predicted_has_no_precision_but_an_f1_of_zero() -> None:
    row = compute_metrics(Predictions(("a", "b"), ("1",), np.array([0]), np.array([[0.0, 1.0]]))).per_class[0]
    assert (row.precision, row.recall, row.f1) == (None, 0.0, 0.0)


def test_a_thousand_classes_are_valid_json() -> None:
    metrics = compute_metrics(answers(1000, 300, strength=4), {f"c{i}": i for i in range(1000)})
    assert Metrics.from_dict(json.loads(json.dumps(metrics.as_dict(), allow_nan=False))) == metrics
    assert sum(map(sum, metrics.confusion_matrix)) == 300
    assert metrics.majority_class_baseline == max(row.support for row in metrics.per_class) / 300
    assert 0 < metrics.accuracy <= metrics.top_k_accuracy["3"] <= metrics.top_k_accuracy["5"] < 1
    assert metrics.evaluated_classes == len({row.label for row in metrics.per_class if row.f1 is not None})


def test_all_probabilities_equal_is_no_top_five_hit_for_the_last_class() -> None:
    level = Predictions(tuple("abcdefg"), ("1", "2"), np.array([6, 0]), np.full((2, 7), 1 / 7))
    assert compute_metrics(level).top_k_accuracy == {"3": 0.5, "5": 0.5}


def test_the_baseline_is_the_best_constant_prediction_on_the_measured_images() -> None:
    true = np.array([0, 1, 1, 2, 2, 2])
    given = Predictions(("a", "b", "c"), tuple("123456"), true, np.full((6, 3), 1 / 3))
    metrics = compute_metrics(given, {"a": 100, "b": 1, "c": 1})
    assert (metrics.majority_class, metrics.majority_class_baseline) == ("c", 0.5)


def test_training_counts_may_be_unknown() -> None:
    metrics = compute_metrics(by_hand(), None)
    assert metrics.majority_class_baseline == 0.5
    assert metrics.per_class[0].train_images is None


def test_no_test_images_is_an_error() -> None:
    with pytest.raises(DataError, match="no test images"):
        compute_metrics(Predictions(("a", "b"), (), np.zeros(0, int), np.zeros((0, 2))))
