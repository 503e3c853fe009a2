"""Two models on the same images: McNemar's exact test and an interval of the difference in accuracy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zoo.errors import UsageError
from zoo.evaluation.intervals import tango_interval
from zoo.evaluation.predictions import Predictions
from zoo.figures import points

SIGNIFICANCE = 0.05

#: A run's name, its answers, and the SHA-256 of its files by name (empty or missing: unknown).
Answered = tuple[str, Predictions, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """How two runs differ on the test images both share.

    The interval is Tango's score interval. It is a little less cautious than the exact test, so it can exclude zero
    where p is still above 0.05; the sentence goes by p.

    Args:
        first, second: Names of the runs; the first is right at least as often on the shared images.
        shared: Images both runs were tested on with the same true class.
        relabelled: Further images both were tested on, but with different true classes; left out.
        only_first, only_second: Shared images that one has right and the other wrong.
        difference: Accuracy of the first minus that of the second on the shared images, 0 to 1.
        interval: 95 % interval of it.
        p: Two-sided p value of the exact McNemar test; adjusted where ``adjusted`` says so.
        unadjusted_p: Before Holm's adjustment.
        adjusted: Whether ``p`` is Holm's over several comparisons.
    """

    first: str
    second: str
    shared: int
    relabelled: int
    only_first: int
    only_second: int
    difference: float
    interval: tuple[float, float]
    p: float
    unadjusted_p: float
    adjusted: bool = False

    @property
    def real(self) -> bool:
        """Whether ``p`` is below 0.05."""
        return self.p < SIGNIFICANCE

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        on = f"{self.first} and {self.second} on {self.shared} shared test images"
        low, high = map(points, self.interval)
        between = f"{low} to {high} points"
        if self.difference == 0:
            return f"{on}: no difference, both are right on as many ({_p(self.p)}; 95 % interval {between})."
        verdict = "real" if self.real else "within noise"
        return (
            f"{on}: the difference of {points(self.difference, signed=False)} points is {verdict} "
            f"({_p(self.p)}; 95 % interval {between})."
        )


def paired_test(first: Answered, second: Answered) -> PairedTest:
    """Tests two runs on the images both answered.

    An image is shared when its content (SHA-256) is the same; where a run does not know the content, when its name is.

    Raises:
        UsageError: They share no test image.
    """
    rows, relabelled = _shared(first, second)
    if not rows:
        raise UsageError(
            f"{first[0]} and {second[0]} share no test image"
            + (f" with the same class ({relabelled} with different ones)." if relabelled else "."),
            "Train both on the same data and with the same test split.",
        )
    right = np.array([(first[1].correct[i], second[1].correct[j]) for i, j in rows])
    only = (int((right[:, 0] & ~right[:, 1]).sum()), int((right[:, 1] & ~right[:, 0]).sum()))
    if only[0] < only[1]:
        first, second, only = second, first, (only[1], only[0])
    p = mcnemar(*only)
    return PairedTest(
        first=first[0],
        second=second[0],
        shared=len(rows),
        relabelled=relabelled,
        only_first=only[0],
        only_second=only[1],
        difference=(only[0] - only[1]) / len(rows),
        interval=tango_interval(*only, len(rows)),
        p=p,
        unadjusted_p=p,
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p value of McNemar's exact test: are the images only one has right split like a fair coin's throws?

    >>> round(mcnemar(1, 7), 4)
    0.0703
    """
    if only_first + only_second == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def adjust(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """The tests with Holm's p values (Holm 1979); a single test stays as it is."""
    if len(tests) < 2:
        return list(tests)
    adjusted = [1.0] * len(tests)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(tests)), key=lambda index: tests[index].unadjusted_p)):
        largest = max(largest, min(1.0, (len(tests) - rank) * tests[index].unadjusted_p))
        adjusted[index] = largest
    return [replace(test, p=p, adjusted=True) for test, p in zip(tests, adjusted, strict=True)]


def _shared(first: Answered, second: Answered) -> tuple[list[tuple[int, int]], int]:
    """Rows of images that both answered with the same true class, and how many they answered with another."""
    pairs = list(_matches(first, second))
    rows = [(i, j) for i, j in pairs if _true(first[1], i) == _true(second[1], j)]
    return rows, len(pairs) - len(rows)


def _matches(first: Answered, second: Answered) -> Iterator[tuple[int, int]]:
    """Row of the first, row of the second, for every image in both; no row is used twice.

    The same name goes first, so that copies of one picture meet their own; content then finds moved and renamed files.
    """
    by_name = {file: row for row, file in enumerate(second[1].files)}
    left: list[int] = []
    free = set(range(len(second[1])))
    for row, file in enumerate(first[1].files):
        other = by_name.get(file)
        if other in free and _same_content(first[2].get(file), second[2].get(file)):
            free.remove(other)
            yield row, other
        else:
            left.append(row)
    by_content: dict[str, list[int]] = defaultdict(list)
    for other in sorted(free, reverse=True):
        if content := second[2].get(second[1].files[other]):
            by_content[content].append(other)
    for row in left:
        content = first[2].get(first[1].files[row])
        if content and by_content.get(content):
            yield row, by_content[content].pop()


def _same_content(first: str | None, second: str | None) -> bool:
    return not first or not second or first == second


def _true(answers: Predictions, row: int) -> str:
    return answers.labels[int(answers.true[row])]


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}" if value < 0.995 else "p = 1"
