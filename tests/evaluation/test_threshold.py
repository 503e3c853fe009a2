"""From which confidence on an answer is worth giving."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.evaluation.predictions import Predictions
from zoo.evaluation.threshold import suggest_threshold


def predictions(confidence: np.ndarray, right: np.ndarray) -> Predictions:
    probabilities = np.stack([confidence, 1 - confidence], 1)
    return Predictions(("a", "b"), tuple(map(str, range(len(right)))), np.where(right, 0, 1), probabilities)


def test_below_it_answers_are_wrong_too_often() -> None:
    confidence = np.linspace(0.51, 0.999, 1000)
    right = np.ones(1000, bool)
    right[:300:2] = False  # half of the less confident answers are wrong
    found = suggest_threshold(predictions(confidence, right))
    assert found is not None
    assert found.accuracy >= 0.99
    # A little into the worse part: seven wrong answers among some 710 are 1 %.
    assert confidence[280] < found.suggested < confidence[300]
    assert found.coverage == pytest.approx(np.mean(confidence >= found.suggested))
    assert (found.images, found.target_accuracy) == (1000, 0.99)


def test_a_model_that_is_always_right_does_not_answer_what_it_is_unusually_unsure_of() -> None:
    confidence = np.linspace(0.6, 0.999, 500)
    found = suggest_threshold(predictions(confidence, np.ones(500, bool)))
    assert found is not None
    assert confidence[4] <= found.suggested <= confidence[5]
    assert found.accuracy == 1
    assert found.coverage == pytest.approx(0.99)


def test_images_of_one_confidence_are_answered_together() -> None:
    confidence = np.r_[np.full(100, 0.9), np.full(100, 0.7)]
    right = np.r_[np.ones(100, bool), np.ones(50, bool), np.zeros(50, bool)]
    found = suggest_threshold(predictions(confidence, right))
    assert found is not None
    assert found.suggested == pytest.approx(0.9, abs=1e-3)
    assert found.coverage == 0.5


def test_rounding_lets_no_wrong_answer_in() -> None:
    confidence = np.r_[np.full(100, 0.99999), np.full(50, 0.99991)]
    found = suggest_threshold(predictions(confidence, np.r_[np.ones(100, bool), np.zeros(50, bool)]))
    assert found is not None
    assert found.accuracy == 1
    assert found.coverage == pytest.approx(2 / 3)
    assert 0.99991 < found.suggested <= np.float32(0.99999)


def test_it_is_right_often_enough_of_those_that_are_left() -> None:
    confidence = np.linspace(0.6, 0.999, 100)
    right = np.ones(100, bool)
    right[-1] = False  # 99 of 100 are right, but of 99 one more would have to be
    assert suggest_threshold(predictions(confidence, right)) is None


@pytest.mark.parametrize("images", [5, 200])
def test_there_is_none_where_too_few_would_be_answered(images: int) -> None:
    confidence = np.linspace(0.51, 0.99, images)
    right = np.zeros(images, bool)
    right[-3:] = True
    assert suggest_threshold(predictions(confidence, right)) is None
