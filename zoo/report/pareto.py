"""Accuracy against a cost, as a drawing in the page itself: every point is a link, and colours follow the page's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.figures import percent
from zoo.report.markup import esc

_WIDTH, _HEIGHT = 420, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 12, 14, 46
_RADIUS, _SMALL = 9.0, 4.0
#: From this ratio of the largest cost to the smallest on, a step to the right is a factor.
_FACTORS_FROM = 4.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """A candidate in the picture.

    Args:
        number: In the table; 0 draws a dot without one.
        cost: In the unit of the axis.
        accuracy, low, high: Share of right predictions and its interval, 0 to 1.
        href: Where its report is, relative to the page.
        title: What a reader sees who points at it.
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


def pareto(points: Sequence[Point], axis: str, limit: float | None, alt: str) -> str:
    """SVG of accuracy against a cost.

    Args:
        points: At least one.
        axis: What the cost is, with its unit.
        limit: Of the cost; a dashed line marks it.
        alt: What the picture shows, in words.
    """
    at_x, ticks_x = _costs([point.cost for point in points] + ([limit] if limit else []))
    at_y, ticks_y = _accuracies(points)
    drawn = [
        f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at_y(tick):.1f}" y2="{at_y(tick):.1f}"/>'
        f'<text x="{_LEFT - 6}" y="{at_y(tick) + 4:.1f}" text-anchor="end">{esc(percent(tick, 0))}</text>'
        for tick in ticks_y
    ]
    drawn += [
        f'<text x="{at_x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in ticks_x
    ]
    drawn.append(f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{esc(axis)}</text>')
    if limit:
        drawn.append(
            f'<line class="limit" x1="{at_x(limit):.1f}" x2="{at_x(limit):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        )
    drawn.append(_joined([point for point in points if point.kind != "other"], at_x, at_y))
    drawn += _marks(points, at_x, at_y)
    inside = "\n".join(drawn)
    return (
        f'<svg class="pareto" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" aria-label="{esc(alt)}">\n{inside}\n</svg>'
    )


def _joined(front: Sequence[Point], at_x: Callable[[float], float], at_y: Callable[[float], float]) -> str:
    best, kept = -1.0, []
    for point in sorted(front, key=lambda point: (point.cost, -point.accuracy)):
        if point.accuracy > best:  # the front is one of three figures; a line goes through those of these two
            best = point.accuracy
            kept.append(f"{at_x(point.cost):.1f},{at_y(point.accuracy):.1f}")
    return f'<polyline class="joined" points="{" ".join(kept)}"/>'


def _marks(points: Sequence[Point], at_x: Callable[[float], float], at_y: Callable[[float], float]) -> list[str]:
    """Points with their intervals; a numbered one that would cover another moves aside, and a line leads to it."""
    marks: list[str] = []
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda point: point.number or len(points) + 1):
        x, y = at_x(point.cost), at_y(point.accuracy)
        radius = _RADIUS if point.number else _SMALL
        place = _free(x, y, taken) if point.number else (x, y)
        if point.number:
            taken.append(place)
        bar = (
            f'<line class="interval" x1="{x:.1f}" x2="{x:.1f}" y1="{at_y(point.low):.1f}" y2="{at_y(point.high):.1f}"/>'
        )
        lead = ""
        if place != (x, y):
            lead = f'<line class="lead" x1="{x:.1f}" y1="{y:.1f}" x2="{place[0]:.1f}" y2="{place[1]:.1f}"/>'
            lead += f'<circle class="spot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'
        text = (
            f'<text x="{place[0]:.1f}" y="{place[1] + 3.6:.1f}" text-anchor="middle">{point.number}</text>'
            if point.number
            else ""
        )
        marks.append(
            f'<a class="{point.kind}" href="{esc(point.href)}"><title>{esc(point.title)}</title>{bar}{lead}'
            f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius:g}"/>{text}</a>'
        )
    return marks[::-1]  # the best ones on top


def _free(x: float, y: float, taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The place nearest to ``(x, y)`` where a circle covers no other one."""
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
