"""``zoo plugin new``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from zoo.workflows.new_plugin import KINDS, LICENCES, NewPluginRequest, new_plugin


@click.command("new")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice(KINDS), default="architecture", show_default=True, help="What the plugin provides."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write.  [default: zoo-NAME]")
@click.option(
    "--licence",
    type=click.Choice(list(LICENCES)),
    default="apache-2.0",
    show_default=True,
    help="Licence of the distribution; its full text is included.",
)
def command(name: str, kind: str, out: Path | None, licence: str) -> None:
    """Create a distribution with an architecture NAME or another plugin. It is complete and passes its own tests.

    It contains a small network (or file format, dataset, callback) to edit or replace, its record, the conformance
    checks as tests, a README and the licence. After an error, no folder is left behind.
    """
    written = new_plugin(NewPluginRequest(name=name, kind=kind, out=out, licence=licence))
    click.echo(f"Written: {written.folder}{os.sep}\n")
    click.echo(f"  pip install -e {written.folder}\n  {written.check}\n  {written.use}")
