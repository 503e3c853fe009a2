"""``zoo plugin``."""

from __future__ import annotations

import click

from zoo.cli.lazy import LazyGroup

COMMANDS = {
    "list": ("zoo.cli.plugin.list", "Show installed plugins and what became of them."),
    "new": ("zoo.cli.plugin.new", "Write a complete, small distribution: an architecture, an exporter, ..."),
    "check": ("zoo.cli.plugin.check", "Run the conformance checks on what a plugin offers."),
}


@click.group("plugin", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Show installed plugins, write one, and check one."""
