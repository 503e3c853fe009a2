"""Shares and their differences as people read them: the one place that turns them into text.

Programs get shares without rounding, from 0 to 1. This module needs nothing, so that the device has it too.
"""

from __future__ import annotations

#: Shares that differ by less are equal: they are ratios of counts, or sums of float64 in a plot.
_EQUAL = 1e-9


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage. Rounding never makes a whole out of a part, nor nothing out of something.

    Args:
        share: From 0 to 1.
        digits: Decimals of the percentage.

    >>> percent(0.94), percent(2999 / 3000), percent(1 / 3000), percent(1.0)
    ('94.0 %', '99.9 %', '0.1 %', '100.0 %')
    >>> percent(0.998, 0)
    '99 %'
    """
    least = 10.0**-digits
    rounded = round(share * 100, digits)
    if rounded >= 100 and share < 1 - _EQUAL:
        rounded = 100 - least
    elif rounded <= 0 and share > _EQUAL:
        rounded = least
    return f"{rounded + 0.0:.{digits}f} %"  # never -0


def points(difference: float, digits: int = 1, *, signed: bool = True) -> str:
    """A difference of two shares in percentage points. Rounding never makes it zero.

    Args:
        difference: From -1 to 1.
        digits: Decimals.
        signed: Whether a gain is written with its plus.

    >>> points(0.0133), points(-1 / 3000), points(0.0), points(0.0133, signed=False)
    ('+1.3', '-0.1', '+0.0', '1.3')
    """
    rounded = round(difference * 100, digits)
    if not rounded and abs(difference) > _EQUAL:
        rounded = 10.0**-digits if difference > 0 else -(10.0**-digits)
    return f"{rounded + 0.0:{'+' if signed else ''}.{digits}f}"
