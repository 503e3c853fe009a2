"""Comparison of two models on the same images: McNemar's exact test and an interval of the difference in accuracy."""

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

#: Name of a run, its predictions, and the SHA-256 of its files by name (empty or missing: unknown).
TestedRun = tuple[str, Predictions, Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """The difference of two runs on their shared test images.

    The interval is Tango's score interval. It is slightly less conservative than the exact test, so it can exclude zero
    although p is above 0.05. The sentence depends on p.

    Args:
        first, second: Names of the runs. The first is at least as accurate on the shared images.
        shared: Number of images on which both runs were tested with the same true class.
        relabelled: Number of further images on which both were tested with different true classes. They are left out.
        only_first, only_second: Number of shared images that only one of the runs predicts correctly.
        difference: Accuracy of the first minus that of the second on the shared images, 0 to 1.
        interval: 95 % interval of the difference.
        p: Two-sided p value of the exact McNemar test, adjusted if ``adjusted`` is ``True``.
        unadjusted_p: The p value before adjustment.
        adjusted: Whether ``p`` is adjusted over several comparisons (Holm).
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
    def p_text(self) -> str:
        """``p`` as text, such as ``p = 0.39``."""
        return _p(self.p)

    @property
    def sentence(self) -> str:
        """The result as a sentence."""
        on = f"{self.first} and {self.second} on {self.shared} shared test images"
        low, high = map(points, self.interval)
        between = f"{low} to {high} points"
        if self.difference == 0:
            return (
                f"{on}: no difference, both predict the same number correctly ({self.p_text}; 95 % interval {between})."
            )
        verdict = "significant" if self.real else "not significant"
        return (
            f"{on}: the difference of {points(self.difference, signed=False)} points is {verdict} "
            f"({self.p_text}; 95 % interval {between})."
        )


def paired_test(first: TestedRun, second: TestedRun) -> PairedTest:
    """Tests two runs on their shared test images.

    An image is shared if its content (SHA-256) is the same, or, if a run does not record the content, its name.

    Raises:
        UsageError: They share no test image.
    """
    rows, relabelled = _shared(first, second)
    if not rows:
        raise UsageError(
            f"{first[0]} and {second[0]} share no test image"
            + (f" with the same class ({relabelled} have different classes)." if relabelled else "."),
            "Train both on the same data with the same test split.",
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
    """Two-sided p value of McNemar's exact test, on the images that only one of the two predicts correctly.

    >>> round(mcnemar(1, 7), 4)
    0.0703
    """
    if only_first + only_second == 0:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def adjust(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """The tests with p values adjusted by Holm (1979). A single test is unchanged."""
    if len(tests) < 2:
        return list(tests)
    adjusted = [1.0] * len(tests)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(tests)), key=lambda index: tests[index].unadjusted_p)):
        largest = max(largest, min(1.0, (len(tests) - rank) * tests[index].unadjusted_p))
        adjusted[index] = largest
    return [replace(test, p=p, adjusted=True) for test, p in zip(tests, adjusted, strict=True)]


def _shared(first: TestedRun, second: TestedRun) -> tuple[list[tuple[int, int]], int]:
    """Rows of images with the same true class in both runs, and the number of images with different true classes."""
    pairs = list(_matches(first, second))
    rows = [(i, j) for i, j in pairs if _true(first[1], i) == _true(second[1], j)]
    return rows, len(pairs) - len(rows)


def _matches(first: TestedRun, second: TestedRun) -> Iterator[tuple[int, int]]:
    """Pairs of rows for every image in both runs. No row is used twice.

    Equal names are matched first, so that copies of one image are matched correctly. Then content matches moved and
    renamed files.
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


def _true(predictions: Predictions, row: int) -> str:
    return predictions.labels[int(predictions.true[row])]


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}" if value < 0.995 else "p = 1"
