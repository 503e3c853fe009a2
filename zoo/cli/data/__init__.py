"""``zoo data``."""

from __future__ import annotations

import click

from zoo.cli.groups import LazyGroup

COMMANDS = {
    "check": ("zoo.cli.data.check", "Find problems in a dataset, without changing it."),
    "split": ("zoo.cli.data.split", "Split a dataset, keeping near-duplicates together."),
    "fetch": ("zoo.cli.data.fetch", "Download photos by class or from a list, with their licences."),
}


@click.group("data", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Check, split and fetch folders of photos."""
