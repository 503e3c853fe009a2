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
@click.option("--html", type=click.Path(path_type=Path), help="Write an HTML page with all figures and tests.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(models: tuple[str, ...], runs: Path, html: Path | None, as_json: bool) -> None:
    """Compare runs, and show which differences are significant.

    RUN is the folder or the name of a run. For an architecture, its newest finished run is used. The test is paired: it
    counts the images that one run predicts correctly and the other does not. Runs that differ only in their seed are
    also shown with the mean and the standard deviation of their accuracy.
    """
    from zoo.progress import make_reporter
    from zoo.workflows.compare import CompareRequest, compare

    found = compare(CompareRequest(models=models, runs=runs, html=html), make_reporter())
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.render(terminal_width()))
    if html is not None and not as_json:
        click.echo(f"\nPage: {html}")
