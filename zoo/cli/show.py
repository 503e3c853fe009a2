"""``zoo show``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from zoo.cli.options import runs_option
from zoo.table import Column, Layout, prose, terminal_width
from zoo.terminal import readable


@click.command("show")
@click.argument("name")
@runs_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str, runs: Path, as_json: bool) -> None:
    """Show the details of NAME: a run, an architecture with its recipes, or an exporter."""
    from zoo.progress import make_reporter
    from zoo.workflows.show import ShowRequest, show

    shown = show(ShowRequest(name=name, runs=runs), make_reporter())
    if as_json:
        click.echo(json.dumps({"kind": shown.kind, "name": shown.name, **shown.facts}, indent=2))
        return
    click.echo(prose([f"{shown.kind} {readable(shown.name)}"], terminal_width()))
    for line in _lines(shown.facts, "  "):
        click.echo(line)


def _lines(facts: Mapping[str, Any], indent: str) -> Iterator[str]:
    """One line per fact. Empty facts are omitted."""
    said = {title: value for title, value in facts.items() if value not in (None, "", [], {})}
    plain = {title: _text(value) for title, value in said.items() if not isinstance(value, Mapping)}
    window = terminal_width()
    columns = (Column("", "name"), Column("", "text"))
    layout = Layout(columns, (list(plain), list(plain.values())), window and window - len(indent))
    for title, value in said.items():
        if isinstance(value, Mapping):
            yield f"{indent}{readable(title)}"
            yield from _lines(value, f"{indent}  ")
        else:
            yield from (indent + line for line in layout.row((readable(title), plain[title])))


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else readable(str(value))
