"""``zoo plugin list``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from zoo.plugin_manager import RECORD_HOOKS, LoadedPlugin
from zoo.registry import plugin_manager
from zoo.table import Column, table, terminal_width

#: Number of names in the table; the others are only counted. ``--json`` and ``zoo list`` contain all of them.
_NAMES_SHOWN = 4

_COLUMNS = (Column("", "name"), Column("", "name", 1), Column("", "name", 2), Column("", "name"), Column("", "text"))


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List installed plugins: distribution, version, what each provides, and its status.

    Status: ok; warned (in use, with the problem); failed (not in use, with the reason); disabled.

    ZOO_DISABLE_PLUGINS=NAME[,NAME] disables distributions. With ZOO_STRICT_PLUGINS=1, the first plugin that fails ends
    the command with an error.
    """
    found = plugin_manager().plugins
    if as_json:
        click.echo(json.dumps([_as_dict(plugin) for plugin in found], indent=2))
        return
    rows = [(plugin.distribution, plugin.version, plugin.entry_point, plugin.status, _what(plugin)) for plugin in found]
    if rows:
        click.echo("Plugins\n" + table(_COLUMNS, rows, terminal_width(), "  "))


def _as_dict(plugin: LoadedPlugin) -> dict[str, Any]:
    return {
        "entry_point": plugin.entry_point,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "status": plugin.status,
        "reason": plugin.reason,
        "offers": [f"{type(record).__name__.lower()} {record.name}" for record in plugin.records],
    }


def _what(plugin: LoadedPlugin) -> str:
    if plugin.status in ("failed", "disabled"):
        return plugin.reason or ""
    names = {
        kind: [record.name for record in plugin.records if isinstance(record, type_)]
        for type_, kind in RECORD_HOOKS.values()
    }
    offers = [_listed(kind, found) for kind, found in names.items() if found]
    return "; ".join([*([plugin.reason] if plugin.reason else []), *(offers or ["hooks only"])])


def _listed(kind: str, names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return f"{kind}{'s' * (len(names) > 1)} {', '.join(names[:_NAMES_SHOWN])}{more}"
