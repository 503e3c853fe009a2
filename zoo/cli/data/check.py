"""``zoo data check``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from zoo.cli.options import on_option
from zoo.table import prose, terminal_width
from zoo.terminal import readable


@click.command("check")
@click.argument("data")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Write an HTML page that shows the affected images.")
@click.option(
    "--fail-on",
    default="error",
    show_default=True,
    metavar="SEVERITY|KINDS",
    help="Findings that cause exit code 1: error, warning, note, never, or types of findings such as leak,label.",
)
@click.option(
    "--backbone",
    metavar="ARCHITECTURE",
    help="Architecture whose pretrained features are compared.  [default: the first with pretrained weights]",
)
@on_option
def command(data: str, as_json: bool, html: Path | None, fail_on: str, backbone: str | None, on: str | None) -> None:
    """Find problems in a dataset. None of your files is changed.

    DATA is a folder of class folders, a folder that contains train, val and test, a CSV file, or a name that
    `zoo list` shows.

    \b
    Errors    the same photo in two splits or under two labels,
              files that cannot be used
    Warnings  labels to look at, classes that can be told apart by file
              format or size, duplicates within a class, edited copies
              under another label, blank images
    Notes     mirror images under another label, images unlike their class,
              classes with few photos, and images that are tiny, very
              elongated, misnamed, rotated, transparent or 16 bits deep

    The exit code is 0 if there is no finding of the level --fail-on or above (labels to look at are warnings, not
    errors), 1 if there is one, and 4 if no classifier can be trained on this data.
    """
    from zoo.audit.findings import failing

    fatal = failing(fail_on)
    from zoo.audit.text import summary
    from zoo.progress import make_reporter
    from zoo.workflows.check import CheckRequest, check

    found = check(CheckRequest(data=data, backbone=backbone, html=html, on=on), make_reporter())
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2, default=str))
    else:
        window = terminal_width()
        click.echo(prose(map(readable, summary(found, window)), window))
        if html is not None:
            click.echo(f"\n  page  {html}")
    if "unusable" in found.by_kind:
        sys.exit(4)
    if fatal & found.by_kind.keys():
        sys.exit(1)
