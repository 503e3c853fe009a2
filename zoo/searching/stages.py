"""The stages of a search, cheapest first. Each proposes candidates from the results so far.

A stage begins when the earlier ones have no more untried candidates; others may still be running. To add a training
method, add a stage: a record with a function that proposes candidates, and an evaluation (``zoo.searching.judge``) that
depends on ``Candidate.way``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from zoo.image_spec import ImageSpec, ResizeRule
from zoo.interfaces import Architecture
from zoo.searching.candidate import STEPS, Candidate, Cost, Limits, Outcome, ranked, sized

#: Cost of a candidate's file. ``None`` if the file cannot be exported.
CostOf = Callable[[Candidate], Cost | None]

#: Minimum number and share of the architectures whose image sizes and resize rules are searched.
_PROMISING, _SHARE = 2, 0.5


@dataclass(frozen=True)
class Known:
    """The information that a stage may use.

    Args:
        architectures: All architectures that the search may try, by name.
        limits: The limits of the device.
        cost: Returns the cost of a candidate's file on the device.
        outcomes: Outcomes of the candidates so far.
        pads: Returns whether ``letterbox`` pads any image for a specification.
    """

    architectures: Mapping[str, Architecture]
    limits: Limits
    cost: CostOf
    outcomes: Sequence[Outcome]
    pads: Callable[[ImageSpec], bool] = lambda image: True

    def fits(self, candidate: Candidate) -> bool:
        """Whether the file of a candidate can be exported and meets the limits."""
        cost = self.cost(candidate)
        return cost is not None and self.limits.excess(cost) <= 1


@dataclass(frozen=True)
class Stage:
    """A stage of a search.

    Args:
        name: Name in messages.
        propose: Returns candidates. Those that exceed the limits are not tried.
        searched: Whether Optuna chooses the order of these candidates. Otherwise they are tried in the order in which
            they are returned.
    """

    name: str
    propose: Callable[[Known], Iterator[Candidate]]
    searched: bool = False


def backbones(known: Known) -> Iterator[Candidate]:
    """Every architecture with its own image specification, or the largest smaller size that meets the limits."""
    own = []
    for architecture in known.architectures.values():
        fitting = largest_fitting(known, architecture)
        if fitting is not None:
            own.append(fitting)
    yield from sorted(own, key=lambda candidate: _latency(known, candidate))


def image_rules(known: Known) -> Iterator[Candidate]:
    """Other image sizes and resize rules of the best architectures so far, or of both if there are only two."""
    for name in _promising(known):
        architecture = known.architectures.get(name)
        largest = None if architecture is None else largest_fitting(known, architecture)
        if architecture is None or largest is None:
            continue
        # If the architecture's own size exceeds the limits, larger ones do too. An export would only take time.
        for step in (step for step in STEPS if step <= largest.step or largest.step == 0):
            image = sized(architecture, step)
            same = "squash" if image.resize == "letterbox" else "letterbox"
            for resize in get_args(ResizeRule):
                if resize != same or known.pads(image):
                    yield Candidate(architecture=name, image=replace(image, resize=resize), step=step)


def _promising(known: Known) -> list[str]:
    """Names of the best architectures so far, the best first.

    If there are only a few, all of them count before they are tried, so that several processes have work at once.
    """
    best = list(dict.fromkeys(outcome.candidate.architecture for outcome, _ in ranked(known.outcomes)))
    if len(known.architectures) <= _PROMISING:
        tried = {outcome.candidate.architecture for outcome in known.outcomes}
        return best + [name for name in known.architectures if name not in tried]
    return best[: max(_PROMISING, round(len(best) * _SHARE))]


def largest_fitting(known: Known, architecture: Architecture) -> Candidate | None:
    """An architecture at its own image size, or at the largest smaller one that meets the limits."""
    for step in sorted((step for step in STEPS if step <= 0), reverse=True):
        candidate = Candidate(architecture=architecture.name, image=sized(architecture, step), step=step)
        if known.fits(candidate):
            return candidate
        cost = known.cost(candidate)
        if cost is None or (known.limits.max_size_mb is not None and cost.size_mb > known.limits.max_size_mb):
            return None  # the size of the file hardly depends on the size of the images
    return None


def _latency(known: Known, candidate: Candidate) -> float:
    cost = known.cost(candidate)
    return cost.latency_ms if cost else 0.0


#: The stages, the cheapest first.
STAGES: tuple[Stage, ...] = (
    Stage("architectures", backbones),
    Stage("image sizes and resize rules", image_rules, searched=True),
)

__all__ = ["STAGES", "CostOf", "Known", "Stage", "largest_fitting"]
