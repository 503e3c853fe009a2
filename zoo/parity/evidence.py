"""What a number of images can prove about an 8-bit file, in exact probabilities.

A share that was measured on ``n`` images is not the share of all images. So a limit is read as a rule about *true*
shares, and three kinds of file are told apart by the share of images whose prediction the file changes (flips):

- a **good** file flips at most ``GOOD`` (0.35) of what the limit allows: 0.7 % where 98 % agreement is required;
- a **bad** file flips ``BAD`` (2) times as much as the limit allows, or loses twice the accuracy: 4 % and 2 points;
- what lies between may pass or be refused.

A file is refused where it misses the limit on the images, and a good file would do so in at most ``ERROR`` of cases.
It passes otherwise; on *thin evidence* where a bad file would look as good in more than ``ERROR`` of cases.
``docs/decisions/0011-gates-and-chance.md`` gives both errors at 50 to 2000 images.
"""

from __future__ import annotations

from functools import cache
from math import floor

from zoo.evaluation.intervals import tango_interval

#: Good and bad files, as multiples of what a limit allows.
GOOD, BAD = 0.35, 2.0

#: Largest probability of each of the two errors: a good file refused, and a bad one that counts as proved.
ERROR = 0.05

#: Shares are ratios of counts: 147 / 150 must not miss a limit of 0.98 by a rounding of the last digit.
_ROUNDING = 1e-9


@cache
def most_flips(images: int, min_agreement: float) -> int:
    """The largest number of flips that passes.

    Those that the limit allows; or, with few images, what a good file stays within in 95 % of cases.

    >>> [most_flips(n, 0.98) for n in (50, 76, 150, 500, 2000)]
    [1, 2, 3, 10, 40]
    """
    from scipy.stats import binom

    allowed = 1 - min_agreement
    return max(floor(images * allowed + _ROUNDING), int(binom.ppf(1 - ERROR, images, GOOD * allowed)))


def proves_agreement(images: int, flips: int, min_agreement: float) -> bool:
    """Whether a bad file would flip as few of so many images in at most 5 % of cases.

    Where the limit allows no flip, every single one refuses the file, and nothing is left to chance. Where it allows
    all of them, no file is bad.
    """
    from scipy.stats import binom

    return min_agreement in (0, 1) or bool(binom.cdf(flips, images, 1 - bad_agreement(min_agreement)) <= ERROR)


def bad_agreement(min_agreement: float) -> float:
    """Agreement of a bad file, 0 to 1: it flips twice as much as the limit allows, and at most everything."""
    return max(0.0, 1 - BAD * (1 - min_agreement))


def loses_accuracy(images: int, only_keras: int, only_file: int, max_drop: float) -> bool:
    """Whether accuracy is lost: more than the limit on these images, and not by chance.

    Chance is judged by McNemar's exact test, one-sided: of the images that only one of the two classifies rightly, a
    file without loss has as many as Keras on average.

    >>> loses_accuracy(76, 1, 0, 0.01), loses_accuracy(150, 5, 0, 0.01), loses_accuracy(2000, 15, 4, 0.01)
    (False, True, False)
    """
    if only_keras - only_file <= images * max_drop + _ROUNDING:
        return False
    from scipy.stats import binom

    return bool(binom.sf(only_keras - 1, only_keras + only_file, 0.5) <= ERROR)


def proves_accuracy(images: int, only_keras: int, only_file: int, max_drop: float) -> bool:
    """Whether a loss of twice the limit is ruled out: by Tango's score interval, at 95 % on the side of the loss.

    Where no loss is allowed, none must be measured: no number of images rules out the smallest one.
    """
    if max_drop == 0:
        return only_keras <= only_file
    low, _ = tango_interval(only_file, only_keras, images, confidence=1 - 2 * ERROR)
    return -low < BAD * max_drop
