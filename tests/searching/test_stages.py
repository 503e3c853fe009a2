"""The stages of a search propose the right candidates at the right time."""

from __future__ import annotations

from dataclasses import replace

from tests.searching.test_costs import outcome
from zoo.registry import architectures
from zoo.searching.candidate import Cost, Limits
from zoo.searching.stages import Known, image_rules


def known(*names: str) -> Known:
    """Architectures of which nothing is known yet."""
    record = architectures().get("mobilenetv2")
    cost = Cost(latency_ms=1.0, size_bytes=1)
    return Known({name: replace(record, name=name) for name in names}, Limits(), lambda candidate: cost, ())


def proposed(state: Known) -> list[str]:
    return list(dict.fromkeys(candidate.architecture for candidate in image_rules(state)))


def test_two_architectures_need_no_outcome_for_their_image_sizes() -> None:
    """Otherwise, a second process would wait while the first tries the only architecture."""
    two = known("one", "two")
    assert proposed(two) == ["one", "two"]
    failed = replace(outcome("one", 0.9, 1.0, 1.0, 0.1), judged=None, error="It failed.")
    assert proposed(replace(two, outcomes=(failed,))) == ["two"]
    good = outcome("two", 0.9, 1.0, 1.0, 0.1)
    assert proposed(replace(two, outcomes=(good,))) == ["two", "one"]
    assert proposed(replace(two, outcomes=(failed, good))) == ["two"]


def test_of_many_architectures_only_the_best_half_is_tried_in_other_sizes() -> None:
    many = known("a", "b", "c", "d", "e", "f")
    assert proposed(many) == []
    outcomes = tuple(outcome(name, 0.9, 1.0, 1.0, score / 10) for score, name in enumerate("fedcba", start=1))
    assert proposed(replace(many, outcomes=outcomes)) == ["f", "e", "d"]
