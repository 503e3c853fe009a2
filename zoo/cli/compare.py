"""``zoo compare``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli.options import runs_option
from zoo.table import terminal_width


@click.command("compare")
@click.argument("models", metavar="RUN RUN...", nargs=-1, required=True)
@runs_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(models: tuple[str, ...], runs: Path, as_json: bool) -> None:
    """Put runs side by side, and say which differences are within noise.

    RUN is a run folder, or an architecture: its newest finished run. The test is paired: it looks at the images that
    one run gets right and the other wrong.
    """
    from zoo.progress import make_reporter
    from zoo.workflows.compare import CompareRequest, compare

    found = compare(CompareRequest(models=models, runs=runs), make_reporter())
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.render(terminal_width()))
