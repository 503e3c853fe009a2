"""``zoo data``."""

from __future__ import annotations

import click

from zoo.cli.lazy import LazyGroup

COMMANDS = {
    "check": ("zoo.cli.data.check", "Find what is wrong with a data set; nothing is changed."),
    "split": ("zoo.cli.data.split", "Divide a data set, keeping near-duplicates together."),
    "fetch": ("zoo.cli.data.fetch", "Download photos by class or by list, with their licences."),
}


@click.group("data", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Check, split and fetch folders of photos."""
