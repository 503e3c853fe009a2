from __future__ import annotations

import numpy as np
import pytest

from zoo.evaluation import tango_interval, wilson_interval
from zoo.evaluation.paired import mcnemar


def test_wilson_matches_newcombe_1998() -> None:
    # Newcombe, "Two-sided confidence intervals for the single proportion", table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_tango_matches_fagerland_2013() -> None:
    # Fagerland, Lydersen and Laake, airway hyper-responsiveness: 1 only before, 7 only after, 21 children.
    assert tango_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


def test_tango_turns_round_with_the_runs() -> None:
    low, high = tango_interval(8, 3, 150)
    assert tango_interval(3, 8, 150) == pytest.approx((-high, -low))
    assert low < 5 / 150 < high


@pytest.mark.parametrize(("b", "c", "n"), [(0, 0, 1), (0, 0, 150), (10, 0, 10), (0, 10, 10), (1, 0, 1), (75, 75, 150)])
def test_tango_at_the_ends_is_a_proper_interval(b: int, c: int, n: int) -> None:
    low, high = tango_interval(b, c, n)
    assert -1 <= low <= (b - c) / n <= high <= 1
    assert high > low


def test_tango_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    draws = rng.multinomial(100, [0.12, 0.05, 0.83], 600)
    covered = [low <= 0.07 <= high for low, high in (tango_interval(b, c, 100) for b, c, _ in draws.tolist())]
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [(1, 7, 0.0703125), (0, 0, 1.0), (5, 5, 1.0), (0, 1, 1.0), (0, 6, 0.03125), (25, 4, 2 * 27841 / 2**29)],
)
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int, p: float) -> None:
    assert mcnemar(b, c) == pytest.approx(p, rel=1e-9)
    assert mcnemar(c, b) == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("arguments", [(5, 3), (-1, 3), (0, 0)])
def test_impossible_counts_are_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="Received"):
        wilson_interval(*arguments)
