"""Confidence intervals for a share and for a paired difference."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a share, 0 to 1 (Wilson 1927, the score interval, without continuity correction).

    Unlike the textbook interval, p +- 1.96 s, it is also reasonable at 0 %, at 100 % and for a few images.

    >>> [round(bound, 4) for bound in wilson_interval(141, 150)]
    [0.8899, 0.9681]
    """
    return _share_interval(successes, n, confidence, "wilson")


def exact_interval(successes: int, n: int) -> tuple[float, float]:
    """Confidence interval of a share with a coverage of at least 95 % for any share (Clopper, Pearson 1934).

    It is wider than Wilson's interval, which has this coverage only on average, and is used for decisions.

    >>> [round(bound, 4) for bound in exact_interval(148, 150)]
    [0.9527, 0.9984]
    """
    return _share_interval(successes, n, 0.95, "exact")


def _share_interval(successes: int, n: int, confidence: float, method: str) -> tuple[float, float]:
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"Expected 0 <= successes <= n and n >= 1. Received: {successes} of {n}.")
    from scipy.stats import binomtest

    found = binomtest(successes, n).proportion_ci(confidence, method=method)
    return float(found.low), float(found.high)


def tango_interval(only_first: int, only_second: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the difference of two shares on the same ``n`` images (Tango 1998, score interval).

    Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
    Statistics in Medicine 17, 891-908; recommended together with McNemar's test by Fagerland, Lydersen and Laake
    (2014).

    Args:
        only_first: Number of images that only the first predicts correctly.
        only_second: Number of images that only the second predicts correctly.
        n: Number of all shared images.

    Returns:
        Bounds of (share of the first - share of the second), from -1 to 1.

    >>> [round(bound, 3) for bound in tango_interval(7, 1, 21)]
    [0.026, 0.517]
    """
    b, c = only_first, only_second
    if n < 1 or b < 0 or c < 0 or b + c > n:
        raise ValueError(f"Expected b, c >= 0 and b + c <= n. Received: {b}, {c} of {n}.")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    observed = (b - c) / n
    # The score decreases with the assumed difference, so it equals +z and -z at the bounds.
    low = _crossing(b, c, n, z, -1.0, observed) if c < n else -1.0
    high = _crossing(b, c, n, -z, observed, 1.0) if b < n else 1.0
    return low, high


def _crossing(b: int, c: int, n: int, level: float, below: float, above: float) -> float:
    for _ in range(100):
        middle = (below + above) / 2
        if middle in (below, above):
            break
        if _score(b, c, n, middle) > level:
            below = middle
        else:
            above = middle
    return (below + above) / 2


def _score(b: int, c: int, n: int, difference: float) -> float:
    """Tango's statistic, approximately standard normal if ``difference`` is the true difference."""
    linear = -b - c + (2 * n - b + c) * difference
    constant = -c * difference * (1 - difference)
    # Estimated probability of only_second, given the difference.
    share = (sqrt(max(0.0, linear * linear - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    distance = b - c - n * difference
    if variance <= 0:
        return 0.0 if distance == 0 else float("inf") if distance > 0 else float("-inf")
    return distance / sqrt(variance)
