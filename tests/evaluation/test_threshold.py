"""Confidence thresholds, which are chosen on some images and measured on others."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from zoo.evaluation import compute_metrics
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.threshold import choose, suggest_threshold


def predictions(confidence: np.ndarray, right: np.ndarray) -> Predictions:
    probabilities = np.stack([confidence, 1 - confidence], 1)
    return Predictions(("a", "b"), tuple(map(str, range(len(right)))), np.where(right, 0, 1), probabilities)


def drawn(n: int, seed: int, accuracy: float = 0.97) -> Predictions:
    """Calibrated predictions: each is correct with its stated probability; the mean accuracy is about ``accuracy``."""
    random = np.random.default_rng(seed)
    confidence = np.clip(1 - random.exponential(1 - accuracy, n), 0.51, 1)
    return predictions(confidence, random.random(n) < confidence)


def test_below_the_threshold_predictions_are_wrong_too_often() -> None:
    confidence = np.linspace(0.51, 0.999, 1000)
    right = np.ones(1000, bool)
    right[:300:2] = False  # half of the less confident predictions are wrong, so 85 % of all are correct
    found = choose(predictions(confidence, right))
    assert found is not None
    assert found.images == 1000
    target, threshold = found.default
    assert target == pytest.approx(0.925)  # half of the errors
    assert confidence[100] < threshold < confidence[180]
    assert [wanted for wanted, _ in found.others] == [0.9, 0.95, 0.98, 0.99, 0.995]
    thresholds = [least for _, least in found.others]
    assert thresholds == sorted(thresholds)
    # The threshold is slightly inside the worse part: 7 wrong predictions of about 710 are 1 %.
    assert confidence[280] < thresholds[3] < confidence[300]


def test_a_model_that_is_always_right_still_has_a_threshold() -> None:
    confidence = np.linspace(0.6, 0.999, 500)
    found = choose(predictions(confidence, np.ones(500, bool)))
    assert found is not None
    assert found.default[0] == 0.99
    assert confidence[4] <= found.default[1] <= confidence[5]
    assert found.others == ()


def test_images_of_equal_confidence_are_on_one_side_of_the_threshold() -> None:
    confidence = np.r_[np.full(100, 0.9), np.full(100, 0.7)]
    right = np.r_[np.ones(100, bool), np.ones(50, bool), np.zeros(50, bool)]
    found = choose(predictions(confidence, right))
    assert found is not None
    assert found.default[1] == pytest.approx(0.9, abs=1e-3)


def test_rounding_lets_no_wrong_prediction_pass() -> None:
    confidence = np.r_[np.full(100, 0.99999), np.full(50, 0.99991)]
    found = choose(predictions(confidence, np.r_[np.ones(100, bool), np.zeros(50, bool)]))
    assert found is not None
    assert 0.99991 < found.default[1] <= np.float32(0.99999)


@pytest.mark.parametrize("images", [0, 5, 200])
def test_there_is_no_threshold_if_too_few_images_would_be_above_it(images: int) -> None:
    confidence = np.linspace(0.51, 0.99, images)
    right = np.zeros(images, bool)
    right[-3:] = True
    assert choose(predictions(confidence, right)) is None
    assert images == 0 or suggest_threshold(predictions(confidence, right)) is None


def test_what_validation_images_chose_is_measured_on_test_images() -> None:
    validation, test = drawn(400, 0), drawn(800, 1)
    choice = choose(validation)
    found = suggest_threshold(test, choice)
    assert choice is not None
    assert found is not None
    assert (found.chosen_on, found.chosen_images, found.images) == ("val", 400, 800)
    assert (found.target_accuracy, found.suggested) == choice.default
    for point in (found, *found.curve):
        answered = test.confidence >= point.suggested
        assert point.coverage == pytest.approx(answered.mean())
        assert point.accuracy == pytest.approx(test.correct[answered].mean())


def test_without_validation_images_the_figures_are_those_of_the_other_half() -> None:
    """If a threshold is chosen and measured on the same images, its accuracy is too high."""
    gaps, flattered = [], []
    for seed in range(100):
        few = drawn(400, seed)
        found = suggest_threshold(few)
        if found is None:
            continue
        assert (found.chosen_on, found.chosen_images, found.images) == ("halves", 400, 400)
        many = drawn(20_000, 1000 + seed)
        answered = many.confidence >= found.suggested
        same = few.confidence >= found.suggested
        truth = many.correct[answered].mean()
        gaps.append((found.accuracy or 0) - truth)
        flattered.append(few.correct[same].mean() - truth)
    assert len(gaps) > 90
    assert abs(np.mean(gaps)) < np.mean(flattered) / 2


def test_most_predictions_of_a_good_model_are_above_the_threshold() -> None:
    random = np.random.default_rng(0)
    confidence = np.where(random.random(4000) < 0.9, 0.998, random.uniform(0.5, 1, 4000))
    right = random.random(4000) < confidence
    choice = choose(predictions(confidence[:2000], right[:2000]))
    found = suggest_threshold(predictions(confidence[2000:], right[2000:]), choice)
    assert found is not None
    assert right.mean() == pytest.approx(0.975, abs=0.006)
    assert found.coverage > 0.9
    assert found.accuracy is not None
    assert found.target_accuracy - 0.006 < found.accuracy


def test_metrics_hold_the_curve() -> None:
    found = compute_metrics(drawn(800, 1), choice=choose(drawn(400, 0))).min_confidence
    assert found.chosen_on == "val"
    assert [set(asdict(point)) for point in found.curve] == [
        {"target_accuracy", "suggested", "coverage", "accuracy"} for _ in found.curve
    ]
    assert found.curve
