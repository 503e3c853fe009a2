"""Shares as text: rounding never gives a wrong impression."""

from __future__ import annotations

import pytest

from zoo.figures import percent, points
from zoo.report.style import percent_ticks


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
        (-1e-17, "0.0 %"),
    ],
)
def test_no_part_becomes_a_whole_and_nothing_comes_of_nothing_only(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize("digits", [0, 1])
def test_an_axis_names_no_share_beyond_nothing_and_all(digits: int) -> None:
    ticks = percent_ticks(digits)
    shown = [ticks(share).replace("\N{NO-BREAK SPACE}", " ") for share in (-0.02, -1e-17, 0.5, 1 + 1e-12, 1.02)]
    assert shown == ["", percent(0, digits), percent(0.5, digits), percent(1, digits), ""]


def test_decimals_as_wanted() -> None:
    assert (percent(0.996, 0), percent(0.004, 0), percent(0.99996, 2)) == ("99 %", "1 %", "99.99 %")


def test_a_change_is_never_rounded_away() -> None:
    assert [points(share) for share in (-1 / 3000, 1 / 3000, 0.0, -0.013)] == ["-0.1", "+0.1", "+0.0", "-1.3"]
    assert points(0.01, signed=False) == "1.0"
