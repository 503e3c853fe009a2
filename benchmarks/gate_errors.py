"""Probabilities that the gates of an 8-bit file refuse a good file, and accept a bad file, by chance.

    python benchmarks/gate_errors.py

No file is exported: the numbers of images on which two models differ are drawn from known shares. A *good* file has a
true agreement of 99.3 % with Keras and loses no accuracy; a *bad* file has a true agreement of 96 % and loses 2 points.
With two classes, each flip makes a correct prediction wrong or a wrong one correct. With many classes, half of the
flips of the bad file, and a third of those of the good file, replace one wrong class by another. Probabilities are
exact: sums over multinomial counts. The last table is a seeded simulation: 150 test images and 350 others, where the
test images alone and all images together must meet the limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from zoo.figures import percent
from zoo.parity.evidence import loses_accuracy, most_flips, proves_accuracy, proves_agreement

NUMBERS = (50, 150, 500, 2000)
MIN_AGREEMENT, MAX_DROP = 0.98, 0.01
#: Number of simulated cases.
CASES = 20_000

#: Whether a file passes, given the number of images, of flips, and of images that only Keras or only the file predicts
#: correctly.
Gate = Callable[[int, int, int, int], bool]


@dataclass(frozen=True)
class File:
    """True shares of images: only Keras is correct, only the file is correct, and both are wrong with other classes."""

    only_keras: float
    only_file: float
    neither: float = 0.0


FILES = {
    "two classes": (File(0.0035, 0.0035), File(0.03, 0.01)),
    "many classes": (File(0.0024, 0.0024, 0.0022), File(0.02, 0.0, 0.02)),
}


def old(n: int, flips: int, only_keras: int, only_file: int) -> bool:
    """The gates until 2026-11-28: the limits are compared with the measured values."""
    return flips <= n * (1 - MIN_AGREEMENT) + 1e-9 and only_keras - only_file <= n * MAX_DROP + 1e-9


def new(n: int, flips: int, only_keras: int, only_file: int) -> bool:
    """The present gates: limits that take the number of images into account."""
    return flips <= most_flips(n, MIN_AGREEMENT) and not loses_accuracy(n, only_keras, only_file, MAX_DROP)


def proved(n: int, flips: int, only_keras: int, only_file: int) -> bool:
    """Whether a file passes, and not on thin evidence."""
    return (
        new(n, flips, only_keras, only_file)
        and proves_agreement(n, flips, MIN_AGREEMENT)
        and proves_accuracy(n, only_keras, only_file, MAX_DROP)
    )


def passes(gate: Gate, file: File, n: int) -> float:
    """The exact probability that a file passes a gate on ``n`` images."""
    flips_that_pass = most_flips(n, MIN_AGREEMENT)  # no gate here accepts more
    left = file.neither / (1 - file.only_keras - file.only_file)
    total = 0.0
    for only_keras in range(flips_that_pass + 1):
        for only_file in range(flips_that_pass + 1 - only_keras):
            rest = n - only_keras - only_file
            seen = binom.pmf(only_keras, n, file.only_keras)
            seen *= binom.pmf(only_file, n - only_keras, file.only_file / (1 - file.only_keras))
            if seen < 1e-12:
                continue
            for neither in range(flips_that_pass + 1 - only_keras - only_file):
                if gate(n, only_keras + only_file + neither, only_keras, only_file):
                    total += seen * binom.pmf(neither, rest, left)
                if not file.neither:
                    break
    return float(total)


def errors(kind: str, n: int) -> dict[str, float]:
    """Shares of good files refused and bad files accepted, by the old and new gates, and of bad files ``proved``."""
    good, bad = FILES[kind]
    return {
        "old refused": 1 - passes(old, good, n),
        "old accepted": passes(old, bad, n),
        "new refused": 1 - passes(new, good, n),
        "new accepted": passes(new, bad, n),
        "proved": passes(proved, bad, n),
    }


def with_others(file: File, tests: int, others: int, seed: int = 0, cases: int = CASES) -> float:
    """The share of files that pass if the test images alone and all images together must meet the limit."""
    random = np.random.default_rng(seed)
    shares = (file.only_keras, file.only_file, file.neither)
    counts = random.multinomial(tests, [*shares, 1 - sum(shares)], cases)
    more = random.binomial(others, sum(shares), cases)
    passed = 0
    for (only_keras, only_file, neither, _), flips in zip(counts.tolist(), more.tolist(), strict=True):
        own = only_keras + only_file + neither
        passed += new(tests, own, only_keras, only_file) and own + flips <= most_flips(tests + others, MIN_AGREEMENT)
    return passed / cases


def main() -> None:
    titles = ("old: good refused", "old: bad accepted", "good refused", "bad accepted", "bad, not thin")
    for kind in FILES:
        print(f"{kind:<14}" + "".join(f"{title:>20}" for title in titles))
        for n in NUMBERS:
            print(f"{n:>14}" + "".join(f"{percent(value):>20}" for value in errors(kind, n).values()))
    print("\n150 test images and 350 others, good refused and bad accepted")
    for kind, (good, bad) in FILES.items():
        print(f"{kind:<14}{percent(1 - with_others(good, 150, 350)):>20}{percent(with_others(bad, 150, 350)):>20}")


if __name__ == "__main__":
    main()
