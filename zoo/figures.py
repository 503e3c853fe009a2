"""Formats shares and differences of shares for people.

Programs receive shares from 0 to 1 without rounding. This module imports nothing, so that it can be used on the device.
"""

from __future__ import annotations

#: Shares that differ by less than this are equal. They are ratios of counts, or sums of float64 in a plot, so a smaller
#: difference is a rounding error.
_EQUAL = 1e-9


def percent(share: float, digits: int = 1) -> str:
    """Formats a share as a percentage. Only exactly 0 and 1 are shown as 0 % and 100 %.

    Args:
        share: A share from 0 to 1.
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
    return f"{rounded + 0.0:.{digits}f} %"  # adding 0.0 turns -0.0 into 0.0


def points(difference: float, digits: int = 1, *, signed: bool = True) -> str:
    """Formats a difference of two shares in percentage points. Rounding never makes it zero.

    Args:
        difference: A difference from -1 to 1.
        digits: Decimals.
        signed: Whether a positive difference has a plus sign.

    >>> points(0.0133), points(-1 / 3000), points(0.0), points(0.0133, signed=False)
    ('+1.3', '-0.1', '+0.0', '1.3')
    """
    rounded = round(difference * 100, digits)
    if not rounded and abs(difference) > _EQUAL:
        rounded = 10.0**-digits if difference > 0 else -(10.0**-digits)
    return f"{rounded + 0.0:{'+' if signed else ''}.{digits}f}"
