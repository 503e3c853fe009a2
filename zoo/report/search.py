"""``search.html``: all candidates of a search, the winner, and how they were compared, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

from zoo.figures import percent
from zoo.report.page import write_page
from zoo.report.pareto import Point, pareto
from zoo.run_folder import Run
from zoo.searching.candidate import Candidate, Cost, Judged, Limits, Outcome, ranked

#: Number of candidates with a number in the plot, in addition to those on the front.
_NUMBERED = 8


@dataclass(frozen=True, kw_only=True)
class SearchPage:
    """The content of the page.

    Args:
        run: The winner's run.
        outcomes: Candidates, the best first, then those that were left out.
        front: Keys of the candidates on the Pareto front of accuracy, latency and size.
        cost: Cost of the winner's exported file.
        limits: The limits for the file.
        form: Format and precision of the exported files, in words.
        device: Name of the device on which latencies were measured. Empty for the machine of the search.
        notes: Notes, one sentence each.
        elapsed_s: Duration of the search in seconds.
        command: The command line.
        second: A sentence on the second best candidate. Empty if there is none.
    """

    run: Run
    outcomes: Sequence[Outcome]
    front: frozenset[str]
    cost: Cost
    limits: Limits
    form: str
    device: str
    notes: Sequence[str]
    elapsed_s: float
    command: str
    second: str


def write_search_page(path: Path, told: SearchPage) -> None:
    """Writes the page into the folder of the search, which is next to the run. It links to reports in both folders."""
    judged = ranked(told.outcomes)
    where = f" on {told.device}" if told.device else ""
    estimated = " (estimated)" if any(outcome.cost.source == "estimated" for outcome, _ in judged) else ""
    limits = told.limits
    write_page(
        path,
        "search",
        told=told,
        judged=judged,
        winner=judged[0][0],
        figures_of_winner=judged[0][1],
        metrics=told.run.metrics,
        data=PurePath(told.run.info.data.source).name or told.run.info.data.source,
        href=partial(_href, told, judged[0][0]),
        more_accurate=more_accurate(judged, told.front),
        left_out=[outcome for outcome in told.outcomes if outcome.error],
        charts={
            "Accuracy and latency": pareto(
                _points(told, judged, "latency_ms"),
                f"ms for one image, one thread{where}{estimated}",
                limits.max_latency_ms,
            ),
            "Accuracy and file size": pareto(_points(told, judged, "size_mb"), "MB", limits.max_size_mb),
        },
    )


def more_accurate(judged: Sequence[tuple[Outcome, Judged]], front: frozenset[str]) -> Candidate | None:
    """The most accurate candidate on the front, if the winner, which is the first, is less accurate."""
    most = max((pair for pair in judged if pair[0].candidate.key in front), key=lambda pair: pair[1].accuracy)
    return most[0].candidate if most[1].accuracy > judged[0][1].accuracy else None


def _href(told: SearchPage, winner: Outcome, outcome: Outcome) -> str:
    if outcome is winner:
        return f"../{told.run.path.name}/report.html"
    return f"candidates/{outcome.candidate.key}/report.html"


def _points(told: SearchPage, judged: Sequence[tuple[Outcome, Judged]], cost: str) -> list[Point]:
    winner = judged[0][0]
    found = []
    for number, (outcome, figures) in enumerate(judged, start=1):
        on_front = outcome.candidate.key in told.front
        low, high = figures.accuracy_interval
        found.append(
            Point(
                number=number if on_front or number <= _NUMBERED else 0,
                cost=getattr(outcome.cost, cost),
                accuracy=figures.accuracy,
                low=low,
                high=high,
                href=_href(told, winner, outcome),
                title=f"{number}: {outcome.candidate}, {percent(figures.accuracy)},"
                f" {outcome.cost.latency_ms:.2f} ms, {outcome.cost.size_mb:.2f} MB",
                kind="winner" if outcome is winner else "front" if on_front else "other",
            )
        )
    return found
