"""``zoo search``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import on_option, reporter_for, runs_option
from zoo.table import Column, table, terminal_width

if TYPE_CHECKING:
    from zoo.workflows.search import Found

_COLUMNS = (
    Column("candidate", "text"),
    Column("accuracy"),
    Column("95 % interval", rank=2),
    Column("Brier score", rank=3),
    Column("ms"),
    Column("MB"),
    Column("front", rank=1),
)


def _time(context: click.Context, parameter: click.Parameter, value: str) -> float:
    from zoo.searching.clock import read_time

    return read_time(value)


@click.command("search")
@click.option("--data", required=True, help="Folder of class folders, CSV file, or a name that `zoo list` shows.")
@click.option(
    "--time",
    "time_s",
    default="10m",
    show_default=True,
    callback=_time,
    metavar="TIME",
    help="Time for the whole search, such as 90s, 10m or 1h30m.",
)
@click.option(
    "--max-latency-ms", type=float, metavar="MS", help="Maximum latency of the model on one thread, for one image."
)
@click.option("--max-size-mb", type=float, metavar="MB", help="Maximum size of the exported file.")
@click.option("--format", help="Format of the exported file.  [default: the first that can be timed]")
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    help="Precision of the exported file: float32, float16 or int8.",
)
@click.option(
    "--arch",
    "architectures",
    multiple=True,
    metavar="NAME",
    help="Architecture to try; can be repeated.  [default: all whose pretrained weights are on disk]",
)
@click.option(
    "--device",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON written by `zoo bench` or `run.py --bench` on the target device.  [default: this machine]",
)
@click.option("--name", metavar="NAME", help="Name of the winner's run, as in `zoo export NAME`.  [default: best-DATA]")
@runs_option
@on_option
@click.option("--quiet", is_flag=True, help="Print only the result and warnings.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(quiet: bool, as_json: bool, **asked: Any) -> None:
    """Search for the most accurate model within the limits of a device and a time budget.

    \b
    zoo search --data photos/
    zoo search --data photos/ --time 30m --max-latency-ms 5 --max-size-mb 4 --format tflite --precision int8
    zoo search --data photos/ --device board.json --max-latency-ms 40
    zoo search --data photos/ --on ray

    Latency and size refer to the exported file and are known before any training. Candidates are compared by
    cross-validation on the training images. The test images are used once, at the end, to evaluate the winner. The same
    command continues an interrupted search. If it is run in a second process at the same time, the processes share the
    work.
    """
    from zoo.workflows.search import SearchRequest, search

    found = search(SearchRequest(**asked), reporter_for(quiet))
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
        return
    for line in told(found):
        click.echo(line)


def told(found: Found) -> list[str]:
    """The result for people."""
    from zoo.cli.summary import told_of_run
    from zoo.figures import percent

    rows = []
    for outcome, judged in found.ranked:
        low, high = map(percent, judged.accuracy_interval)
        about = "~" if outcome.cost.source == "estimated" else ""
        figures = (percent(judged.accuracy), f"{low} to {high}", f"{judged.brier_score:.4f}")
        costs = (f"{about}{outcome.cost.latency_ms:.2f}", f"{outcome.cost.size_mb:.2f}")
        rows.append((str(outcome.candidate), *figures, *costs, "yes" if outcome.candidate.key in found.front else "no"))
    where = f" on {found.device}" if found.device else ""
    lines = ["", table(_COLUMNS, rows, terminal_width()), ""]
    if any(outcome.cost.source == "estimated" for outcome, _ in found.ranked):
        lines.append("~: estimated, not measured.")
    count = len(found.outcomes)
    tried = "1 candidate was" if count == 1 else f"{count} candidates were"
    lines.append(f"{tried} tried. The winner on the test images, which were not used to compare them:")
    lines += [f"  {line}" for line in told_of_run(found.run)]
    about = "about " if found.cost.source == "estimated" else ""
    lines.append(f"  {found.form}: {about}{found.cost.latency_ms:.2f} ms{where}, {found.cost.size_mb:.2f} MB")
    if found.second:
        lines.append(found.second)
    lines += [f"  run     {found.run.path}", f"  page    {found.page}", f"  file    {found.file}"]
    return lines
