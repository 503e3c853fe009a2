"""``zoo list``."""

from __future__ import annotations

import json

import click

from zoo.cli.table import print_table
from zoo.registry import Registry, architectures, datasets, exporters


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show architectures, data sets and exporters: name, one line, and the distribution each comes from."""
    kinds: dict[str, Registry] = {  # type: ignore[type-arg]
        "architectures": architectures(),
        "data sets": datasets(),
        "exporters": exporters(),
    }
    if as_json:
        found = {
            kind.replace(" ", "_"): [
                {"name": offer.record.name, "summary": offer.record.summary, "distribution": offer.distribution}
                for offer in registry
            ]
            for kind, registry in kinds.items()
        }
        click.echo(json.dumps(found, indent=2))
        return
    for kind, registry in kinds.items():
        rows = [
            (
                offer.record.name,
                offer.record.summary,
                offer.distribution + (" (contested)" if registry.contested(offer.record.name) else ""),
            )
            for offer in registry
        ]
        print_table(kind.capitalize(), rows)
