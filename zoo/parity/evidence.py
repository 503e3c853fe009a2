"""How much a given number of images can prove about an 8-bit file, with exact probabilities.

A share measured on ``n`` images differs from the share of all images. Therefore a limit refers to *true* shares. Files
are divided into three groups by the share of images whose prediction the file changes (flips):

- a **good** file flips at most ``GOOD`` (0.35) of what the limit allows: 0.7 % where 98 % agreement is required;
- a **bad** file flips ``BAD`` (2) times as much as the limit allows, or loses twice the allowed accuracy: 4 % or 2
  points where 98 % agreement and a loss of 1 point are allowed;
- any other file may pass or be refused.

A file is refused if it misses the limit on the images and a good file would do so in at most ``ERROR`` of cases.
Otherwise it passes. It passes on *thin evidence* if a bad file would look as good in more than ``ERROR`` of cases.
``docs/decisions/0011-gates-and-chance.md`` gives both errors for 50 to 2000 images.
"""

from __future__ import annotations

from functools import cache
from math import floor

from zoo.evaluation.intervals import tango_interval

#: Good and bad files, as multiples of what a limit allows.
GOOD, BAD = 0.35, 2.0

#: Maximum probability of each of the two errors: a good file is refused, or a bad one passes with sufficient evidence.
ERROR = 0.05

#: Tolerance of shares, which are ratios of counts: 147 / 150 must not miss a limit of 0.98 by a rounding error.
_ROUNDING = 1e-9


@cache
def most_flips(images: int, min_agreement: float) -> int:
    """The largest number of flips that passes.

    It is the number allowed by the limit or, with few images, the number that a good file does not exceed in 95 % of
    cases.

    >>> [most_flips(n, 0.98) for n in (50, 76, 150, 500, 2000)]
    [1, 2, 3, 10, 40]
    """
    from scipy.stats import binom

    allowed = 1 - min_agreement
    return max(floor(images * allowed + _ROUNDING), int(binom.ppf(1 - ERROR, images, GOOD * allowed)))


def proves_agreement(images: int, flips: int, min_agreement: float) -> bool:
    """Whether a bad file would have so few flips on these images in at most 5 % of cases.

    If the limit allows no flip, a file is refused for a single flip, and chance plays no role. If it allows all flips,
    no file is bad.
    """
    from scipy.stats import binom

    return min_agreement in (0, 1) or bool(binom.cdf(flips, images, 1 - bad_agreement(min_agreement)) <= ERROR)


def bad_agreement(min_agreement: float) -> float:
    """Agreement of a bad file, 0 to 1: it has twice as many flips as allowed, but at most all images."""
    return max(0.0, 1 - BAD * (1 - min_agreement))


def loses_accuracy(images: int, only_keras: int, only_file: int, max_drop: float) -> bool:
    """Whether accuracy is lost: more than the limit on these images, and significantly.

    Significance is tested with the one-sided exact McNemar test: of the images that only one of the two classifies
    correctly, a file without loss classifies half correctly on average.

    >>> loses_accuracy(76, 1, 0, 0.01), loses_accuracy(150, 5, 0, 0.01), loses_accuracy(2000, 15, 4, 0.01)
    (False, True, False)
    """
    if only_keras - only_file <= images * max_drop + _ROUNDING:
        return False
    from scipy.stats import binom

    return bool(binom.sf(only_keras - 1, only_keras + only_file, 0.5) <= ERROR)


def proves_accuracy(images: int, only_keras: int, only_file: int, max_drop: float) -> bool:
    """Whether a loss of twice the limit is excluded by Tango's score interval, one-sided at 95 %.

    If no loss is allowed, the measured loss must not be above 0, because no number of images can exclude the smallest
    loss.
    """
    if max_drop == 0:
        return only_keras <= only_file
    low, _ = tango_interval(only_file, only_keras, images, confidence=1 - 2 * ERROR)
    return -low < BAD * max_drop
