"""``zoo runs``."""

from __future__ import annotations

import json
from pathlib import Path, PurePath

import click

from zoo.cli.options import runs_option
from zoo.figures import percent
from zoo.table import Column, table, terminal_width

_COLUMNS = (
    Column("run", "name"),
    Column("architecture", "name", 2),
    Column("data", "name", 1),
    Column("accuracy"),
    Column("95 % interval", rank=3),
    Column("began (UTC)", rank=4),
    Column("exported", "text", 5),
)


@click.command("runs")
@click.option("--architecture", metavar="NAME", help="Show only runs of this architecture.")
@click.option("--data", help="Show only runs trained on this data: a path or the name of a dataset.")
@runs_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(architecture: str | None, data: str | None, runs: Path, as_json: bool) -> None:
    """List the finished runs of a folder, newest first.

    The accuracy is measured on the run's test images and shown with its 95 % interval. `zoo compare` shows whether the
    difference between two runs is significant.
    """
    from zoo.progress import make_reporter
    from zoo.workflows.runs import RunsRequest
    from zoo.workflows.runs import runs as finished

    lines = finished(RunsRequest(runs=runs, architecture=architecture, data=data), make_reporter())
    if as_json:
        click.echo(json.dumps([line.as_dict() for line in lines], indent=2))
        return
    if not lines:
        none = f"There is no finished run in {runs}. `zoo train` creates one."
        click.echo(f"No finished run in {runs} matches." if architecture or data else none)
        return
    rows = []
    for line in lines:
        low, high = map(percent, line.accuracy_interval)
        when = (line.created_at or "-")[:16].replace("T", " ")
        source = PurePath(line.data).name or line.data
        exported = ", ".join(name.removeprefix(f"{line.architecture}-") for name in line.exported) or "-"
        figures = (percent(line.accuracy), f"{low} to {high}")
        rows.append((line.name, line.architecture, source, *figures, when, exported))
    click.echo(table(_COLUMNS, rows, terminal_width()))
