"""``zoo plugin``."""

from __future__ import annotations

import click

from zoo.cli.groups import LazyGroup

COMMANDS = {
    "list": ("zoo.cli.plugin.list", "List installed plugins and their status."),
    "new": ("zoo.cli.plugin.new", "Create a small, complete distribution: an architecture, an exporter, ..."),
    "check": ("zoo.cli.plugin.check", "Run the conformance checks on a plugin."),
}


@click.group("plugin", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """List installed plugins, create a plugin, or check one."""
