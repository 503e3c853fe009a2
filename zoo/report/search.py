"""``search.html``: all candidates of a search, the winner, and what it was judged by, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from zoo.figures import percent as plain_percent
from zoo.report.markup import Column, esc, key_figures, name, section, table, warnings_section
from zoo.report.page import write_page
from zoo.report.pareto import Point, pareto
from zoo.report.text import ABSENT, duration, percent, plural
from zoo.run_folder import Run
from zoo.searching.candidate import Cost, Judged, Limits, Outcome, ranked

#: Candidates with a number in the picture, beside those on the front.
_NUMBERED = 8

_SOURCES = {"here": "", "device": "", "estimated": "estimated"}


@dataclass(frozen=True, kw_only=True)
class SearchPage:
    """What the page tells.

    Args:
        run: The winner's run.
        outcomes: Candidates, the best first, then those that failed.
        front: Keys of those that no other one beats in accuracy, latency and size at once.
        cost: Of the winner's exported file.
        limits: That it had to meet.
        form: Format and precision of the exported files, in words.
        device: Name of the device that latencies are of; empty for the machine of the search.
        trouble: What is wrong with the winner's file; empty where nothing is.
        notes: What a reader should know, a sentence each.
        elapsed_s: That the search took.
        command: The command line.
        second: What the second best would cost; empty without one.
    """

    run: Run
    outcomes: Sequence[Outcome]
    front: frozenset[str]
    cost: Cost
    limits: Limits
    form: str
    device: str
    trouble: str
    notes: Sequence[str]
    elapsed_s: float
    command: str
    second: str


def write_search_page(path: Path, told: SearchPage) -> None:
    """Writes the page into the search's folder, which lies beside the run; the reports that it leads to lie there."""
    judged = ranked(told.outcomes)
    data = PurePath(told.run.info.data.source).name or told.run.info.data.source
    parts = (
        warnings_section([told.trouble] if told.trouble else []),
        _picture(told, judged),
        _second(told, judged),
        _table(told, judged),
        _failed(told),
        _method(told, judged),
    )
    write_page(
        path,
        title=f"Search on {data}",
        heading=f"Search <span>on</span> {name(data)}",
        run=name(told.run.name),
        verdict=_verdict(told, judged),
        key_figures=_key_figures(told),
        sections=parts,
    )


def _verdict(told: SearchPage, judged: Sequence[tuple[Outcome, Judged]]) -> str:
    best, found = judged[0]
    metrics = told.run.metrics
    low, high = map(percent, metrics.accuracy_interval)
    return (
        f"{name(best.candidate.architecture)} at {esc(best.candidate.image)} is the best of"
        f" {plural(len(told.outcomes), 'candidate')} that were tried. It is right on"
        f" <strong>{percent(metrics.accuracy)}</strong> of {plural(metrics.n, 'test image')}, which chose nothing"
        f" (95&nbsp;% interval {low} to {high}); cross-validation on the training images gave"
        f" {percent(found.accuracy)}."
    )


def _key_figures(told: SearchPage) -> str:
    where = f"on {told.device}" if told.device else "on this machine"
    how = " (estimated)" if told.cost.source == "estimated" else ""
    limits = told.limits
    shown = (
        ("Test accuracy", percent(told.run.metrics.accuracy), plural(told.run.metrics.n, "test image")),
        ("Latency", f"{told.cost.latency_ms:.2f}&nbsp;ms", f"{where}{how}{_of(limits.max_latency_ms, 'ms')}"),
        ("File size", f"{told.cost.size_mb:.2f}&nbsp;MB", f"{told.form}{_of(limits.max_size_mb, 'MB')}"),
        ("Candidates", str(len(told.outcomes)), f"in {duration(told.elapsed_s)}"),
    )
    return key_figures((title, value, esc(note)) for title, value, note in shown)


def _of(limit: float | None, unit: str) -> str:
    return "" if limit is None else f"; at most {limit:g} {unit}"


def _href(told: SearchPage, outcome: Outcome, winner: Outcome) -> str:
    return (
        f"../{told.run.path.name}/report.html"
        if outcome is winner
        else f"candidates/{outcome.candidate.key}/report.html"
    )


def _picture(told: SearchPage, judged: Sequence[tuple[Outcome, Judged]]) -> str:
    winner = judged[0][0]

    def points(cost: str) -> list[Point]:
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
                    href=_href(told, outcome, winner),
                    title=f"{number}: {outcome.candidate}, {plain_percent(figures.accuracy)},"
                    f" {outcome.cost.latency_ms:.2f} ms, {outcome.cost.size_mb:.2f} MB",
                    kind="winner" if outcome is winner else "front" if on_front else "other",
                )
            )
        return found

    where = f" on {told.device}" if told.device else ""
    estimated = " (estimated)" if any(outcome.cost.source == "estimated" for outcome, _ in judged) else ""
    charts = (
        (
            "Accuracy and latency",
            f"ms for one image, one thread{where}{estimated}",
            "latency_ms",
            told.limits.max_latency_ms,
        ),
        ("Accuracy and file size", "MB", "size_mb", told.limits.max_size_mb),
    )
    drawn = "\n".join(
        f"<div><h3>{title}</h3>{pareto(points(cost), axis, limit, f'{title} of {len(judged)} candidates')}</div>"
        for title, axis, cost, limit in charts
    )
    legend = (
        "<p>Every point is a candidate, with its accuracy in cross-validation and the 95&nbsp;% interval; its number is"
        " that in the table, and it opens its report. Filled: no other one beats it in accuracy, latency and file size"
        " at once. The winner, with a ring, has the best Brier score of these: the squared error of the probabilities"
        " says more about so few images than the number of right predictions. A dashed line is a limit.</p>"
    )
    return section("picture", "What accuracy costs", legend, f'<div class="pair">{drawn}</div>')


def _second(told: SearchPage, judged: Sequence[tuple[Outcome, Judged]]) -> str:
    if not told.second:
        return ""
    more = ""
    most = max(judged, key=lambda pair: pair[1].accuracy)
    if most[1].accuracy > judged[0][1].accuracy:
        more = f"<p>{esc(most[0].candidate)} has the highest accuracy in cross-validation, and a worse Brier score.</p>"
    return section("second", "The second best", f"<p>{esc(told.second)}</p>{more}")


def _table(told: SearchPage, judged: Sequence[tuple[Outcome, Judged]]) -> str:
    columns = (
        Column("Candidate", figures=False),
        Column("Accuracy", "Share of right predictions in cross-validation, mean of the repeats"),
        Column("95 % interval", "Of the accuracy"),
        Column("Brier score", "Squared error of the probabilities, summed over the classes"),
        Column("Latency", "One image, the model alone, one thread; median", unit="ms"),
        Column("Size", "Of the exported file", unit="MB"),
        Column("Time", "That judging it took", unit="s"),
        Column("Front", "Whether no other one beats it in accuracy, latency and size at once", figures=False),
    )
    winner = judged[0][0]
    rows = [
        (
            f'{number}. <a href="{esc(_href(told, outcome, winner))}">{esc(outcome.candidate.architecture)}</a>'
            f'<span class="below">{esc(outcome.candidate.image)}</span>',
            percent(figures.accuracy),
            f"{percent(figures.accuracy_interval[0])} to {percent(figures.accuracy_interval[1])}",
            f"{figures.brier_score:.4f}",
            f"{outcome.cost.latency_ms:.2f}"
            + (f'<span class="below">{_SOURCES[outcome.cost.source]}</span>' if _SOURCES[outcome.cost.source] else ""),
            f"{outcome.cost.size_mb:.2f}",
            f"{figures.seconds:.0f}",
            "<b>yes</b>" if outcome.candidate.key in told.front else "no",
        )
        for number, (outcome, figures) in enumerate(judged, start=1)
    ]
    return section("candidates", "All candidates", table("Candidates", columns, rows, quiet=True, dense=True))


def _failed(told: SearchPage) -> str:
    failed = [outcome for outcome in told.outcomes if outcome.judged is None]
    if not failed:
        return ""
    items = "".join(f"<li>{esc(outcome.candidate)}: {esc(outcome.error) or ABSENT}</li>" for outcome in failed)
    return section("failed", "Candidates that failed", f"<ul>{items}</ul>")


def _repeated(figures: Judged) -> str:
    return f", repeated {figures.repeats} times" if figures.repeats > 1 else ""


def _method(told: SearchPage, judged: Sequence[tuple[Outcome, Judged]]) -> str:
    figures = judged[0][1]
    notes = "".join(f"<li>{esc(note)}</li>" for note in told.notes)
    said = (
        f"<p>{plural(figures.n, 'training image')} chose, by {figures.folds}-fold cross-validation"
        f"{_repeated(figures)}; images that look alike were always in one fold. The"
        f" {plural(told.run.metrics.n, 'test image')} chose nothing: only the winner was measured on them, at the end."
        " The best of many candidates owes a part of its cross-validated figure to chance, so the figure on the test"
        " images is the one to trust.</p>"
        f"<p>Limits: {esc(told.limits)}. Latency and size are those of the exported file ({esc(told.form)}), whose"
        " weights do not matter, so they were known before anything was trained.</p>"
    )
    command = f"<pre>{esc(told.command)}</pre>"
    return section("method", "How it was judged", said, f"<ul>{notes}</ul>" if notes else "", command)
