"""``zoo compare``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli.options import runs_option
from zoo.cli.runs import described, find_run


@click.command("compare")
@click.argument("runs_given", metavar="RUN RUN...", nargs=-1, required=True)
@runs_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(runs_given: tuple[str, ...], runs: Path, as_json: bool) -> None:
    """Put runs side by side, and say which differences are within noise.

    RUN is a run folder, or an architecture: its newest finished run. The test is paired: it looks at the images that
    one run gets right and the other wrong.
    """
    from zoo.evaluation import compare
    from zoo.evaluation.trained import of_run

    found = [find_run(text, runs) for text in runs_given]
    for text, run in zip(runs_given, found, strict=True):
        if text == run.architecture:
            click.echo(f"{text}: {described(text, of_run(run))}", err=True)
    comparison = compare(found)
    click.echo(json.dumps(comparison.as_dict(), indent=2) if as_json else comparison.render())
