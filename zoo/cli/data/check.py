"""``zoo data check``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from zoo.table import prose, terminal_width
from zoo.terminal import readable


@click.command("check")
@click.argument("data")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with the pictures side by side.")
@click.option(
    "--fail-on",
    default="error",
    show_default=True,
    metavar="SEVERITY|KINDS",
    help="What ends with exit code 1: error, warning, note, never, or kinds of findings such as leak,label.",
)
@click.option("--backbone", metavar="ARCHITECTURE", help="Whose pretrained features are used.  [default: the first]")
def command(data: str, as_json: bool, html: Path | None, fail_on: str, backbone: str | None) -> None:
    """Find what is wrong with a data set. No file of yours is changed.

    DATA is a folder of class folders, one with train, val and test in it, a CSV, or a name that `zoo list` shows.

    \b
    Errors    the same photo in two splits or under two labels, files that cannot be used
    Warnings  labels to look at, classes that formats or sizes give away, duplicates in a class, altered copies under
              another label, blanks
    Notes     mirror images under another label, pictures unlike their class, tiny, very long, misnamed, rotated,
              transparent, 16 bits

    Exit code 0: nothing as bad as --fail-on; labels to look at are no error. 1: something is. 4: no classifier can be
    trained on this.
    """
    from zoo.audit.findings import failing

    fatal = failing(fail_on)
    from zoo.audit.text import summary
    from zoo.progress import make_reporter
    from zoo.workflows.check import CheckRequest, check

    found = check(CheckRequest(data=data, backbone=backbone, html=html), make_reporter())
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
