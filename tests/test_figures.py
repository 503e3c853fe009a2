"""Shares as text: rounding tells no lies."""

from __future__ import annotations

import pytest

from zoo.figures import percent, points


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (2999 / 3000, "99.9 %"),
        (1 - 1e-6, "99.9 %"),
        (3000 / 3000, "100.0 %"),
        (sum([0.1] * 10), "100.0 %"),
        (1 / 3000, "0.1 %"),
        (0.0, "0.0 %"),
        (0.94, "94.0 %"),
        (1.05, "105.0 %"),
    ],
)
def test_no_part_becomes_a_whole_and_nothing_comes_of_nothing_only(share: float, text: str) -> None:
    assert percent(share) == text


def test_decimals_as_wanted() -> None:
    assert (percent(0.996, 0), percent(0.004, 0), percent(0.99996, 2)) == ("99 %", "1 %", "99.99 %")


def test_a_change_is_never_rounded_away() -> None:
    assert [points(share) for share in (-1 / 3000, 1 / 3000, 0.0, -0.013)] == ["-0.1", "+0.1", "+0.0", "-1.3"]
    assert points(0.01, signed=False) == "1.0"
