"""Lays out a plot of accuracy against a cost. Every point is a link, and the colours are those of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.figures import percent

_WIDTH, _HEIGHT = 420, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 12, 14, 46
_RADIUS, _SMALL = 9.0, 4.0
#: Minimum ratio of the largest to the smallest cost for a logarithmic axis.
_FACTORS_FROM = 4.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """A candidate in the picture.

    Args:
        number: Row in the table. 0: the point is drawn as a dot without a number.
        cost: Cost in the unit of the axis.
        accuracy, low, high: Accuracy and its interval, 0 to 1.
        href: Path of its report, relative to the page.
        title: The tooltip.
        kind: ``winner``, ``front`` or ``other``.
    """

    number: int
    cost: float
    accuracy: float
    low: float
    high: float
    href: str
    title: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A point at its position in the drawing.

    Args:
        point: The point.
        x, y: Its position.
        low, high: Positions of the ends of its interval.
        at: Position of its circle, which is moved aside if it would cover another one.
        radius: Radius of the circle.
    """

    point: Point
    x: float
    y: float
    low: float
    high: float
    at: tuple[float, float]
    radius: float


@dataclass(frozen=True, kw_only=True)
class Pareto:
    """A plot of accuracy against a cost. Positions are measured from the upper left corner.

    Args:
        axis: Name of the cost, with its unit.
        ticks_x, ticks_y: Position and text of each tick.
        limit: Position of the limit of the cost.
        joined: Points of the line through the Pareto front.
        marks: The points, the best ones last, so that they are on top.
    """

    axis: str
    ticks_x: Sequence[tuple[float, str]]
    ticks_y: Sequence[tuple[float, str]]
    limit: float | None
    joined: Sequence[tuple[float, float]]
    marks: Sequence[Mark]

    width, height = _WIDTH, _HEIGHT
    left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM


def pareto(points: Sequence[Point], axis: str, limit: float | None) -> Pareto:
    """Arranges the plot.

    Args:
        points: The points, at least one.
        axis: Name of the cost, with its unit.
        limit: Limit of the cost, which a dashed line marks.
    """
    at_x, ticks_x = _costs([point.cost for point in points] + ([limit] if limit else []))
    at_y, ticks_y = _accuracies(points)
    best, joined = -1.0, []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        # The Pareto front is defined by three figures. The line joins only the points that are best in the two figures
        # of this plot.
        if point.kind != "other" and point.accuracy > best:
            best = point.accuracy
            joined.append((at_x(point.cost), at_y(point.accuracy)))
    return Pareto(
        axis=axis,
        ticks_x=[(at_x(tick), f"{tick:g}") for tick in ticks_x],
        ticks_y=[(at_y(tick), percent(tick, 0)) for tick in ticks_y],
        limit=at_x(limit) if limit else None,
        joined=joined,
        marks=_marks(points, at_x, at_y),
    )


def _marks(points: Sequence[Point], at_x: Callable[[float], float], at_y: Callable[[float], float]) -> list[Mark]:
    """Points with their intervals. A numbered circle that would cover another one is moved aside."""
    marks: list[Mark] = []
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: point.number or len(points) + 1):
        x, y = at_x(point.cost), at_y(point.accuracy)
        at = (x, y)
        if point.number:
            at = _free(x, y, taken)
            taken.append(at)
        radius = _RADIUS if point.number else _SMALL
        marks.append(Mark(point=point, x=x, y=y, low=at_y(point.low), high=at_y(point.high), at=at, radius=radius))
    return marks[::-1]


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The position nearest to ``(x, y)`` at which a circle covers no other one."""
    apart = 2 * _RADIUS + 1
    for ring in range(12):
        steps = max(1, 8 * ring)
        for step in range(steps):
            angle = 2 * math.pi * step / steps
            place = (x + ring * apart / 2 * math.cos(angle), y + ring * apart / 2 * math.sin(angle))
            inside = _LEFT + _RADIUS <= place[0] <= _WIDTH - _RADIUS and _RADIUS <= place[1] <= _HEIGHT - _BOTTOM - 4
            if (inside or not ring) and all(math.dist(place, other) >= apart for other in taken):
                return place
    return x, y


def _costs(values: Sequence[float]) -> tuple[Callable[[float], float], list[float]]:
    low, high = min(values), max(values)
    span = _WIDTH - _RIGHT - _LEFT - 2 * _RADIUS
    if high / max(low, 1e-9) >= _FACTORS_FROM:
        start, end = math.log(low / 1.15), math.log(high * 1.15)
        ticks = [base * 10.0**power for power in range(-4, 7) for base in (1, 2, 5)]
        kept = [tick for tick in ticks if low / 1.15 <= tick <= high * 1.15]
        return (lambda value: _LEFT + _RADIUS + span * (math.log(value) - start) / (end - start)), kept
    margin = (high - low) * 0.12 or high * 0.25 or 1.0
    start, end = max(0.0, low - margin), high + margin
    return (lambda value: _LEFT + _RADIUS + span * (value - start) / (end - start)), _round_ticks(start, end)


def _accuracies(points: Sequence[Point]) -> tuple[Callable[[float], float], list[float]]:
    low, high = min(point.low for point in points), max(point.high for point in points)
    margin = max((high - low) * 0.06, 0.01)
    start, end = max(0.0, low - margin), min(1.0, high + margin)
    span = _HEIGHT - _BOTTOM - _TOP
    return (lambda share: _HEIGHT - _BOTTOM - span * (share - start) / (end - start)), _round_ticks(start, end, 0.01)


def _round_ticks(start: float, end: float, least: float = 0.0) -> list[float]:
    """Four to eight round values between ``start`` and ``end``."""
    rough = (end - start) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough), least)
    first = math.ceil(start / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(end / step + 1e-9) + 1)]
