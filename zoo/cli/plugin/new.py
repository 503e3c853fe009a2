"""``zoo plugin new``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from zoo.workflows.new_plugin import KINDS, LICENCES, NewPluginRequest, new_plugin


@click.command("new")
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), default="architecture", show_default=True, help="What it offers.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write.  [default: zoo-NAME]")
@click.option(
    "--licence",
    type=click.Choice(list(LICENCES)),
    default="apache-2.0",
    show_default=True,
    help="Of the distribution; the whole text is written.",
)
def command(name: str, kind: str, out: Path | None, licence: str) -> None:
    """Write a distribution with an architecture NAME in it, or another plugin: complete, and passing its own tests.

    It holds a small network (file format, data set, callback) to change or to exchange, its record, the conformance
    checks as tests, a README and the licence. The folder is written whole or not at all.
    """
    written = new_plugin(NewPluginRequest(name=name, kind=kind, out=out, licence=licence))
    click.echo(f"Written: {written.folder}{os.sep}\n")
    click.echo(f"  pip install -e {written.folder}\n  {written.check}\n  {written.use}")
