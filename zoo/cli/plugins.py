"""``zoo plugins``."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from zoo.cli.table import print_table
from zoo.registry import plugin_manager


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show installed plugins: distribution, version, what each offers, and what became of it.

    ZOO_DISABLE_PLUGINS=NAME[,NAME] leaves distributions out; ZOO_STRICT_PLUGINS=1 stops at the first that fails.
    """
    found = []
    for plugin in plugin_manager().plugins:
        offers = [f"{type(record).__name__.lower()} {record.name}" for record in plugin.records]
        found.append({**asdict(plugin), "records": offers})
    if as_json:
        click.echo(json.dumps([{**row, "offers": row.pop("records")} for row in found], indent=2))
        return
    rows = [
        (
            row["distribution"],
            row["version"],
            row["entry_point"],
            row["status"],
            row["error"] or ", ".join(row["records"]) or "hooks only",
        )
        for row in found
    ]
    print_table("Plugins", rows)
