"""``zoo list``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import click

from zoo.interfaces import Architecture
from zoo.known_plugins import KNOWN, is_installed
from zoo.registry import Offer, Registry, architectures, datasets, exporters
from zoo.table import Column, table, terminal_width, width_of, wrap

_INDENT = "  "
#: Minimum width of a shortened summary. A shorter one would be useless.
_LEAST_SUMMARY = 20
_COLUMNS = (Column("", "name"), Column("", "text"), Column("", "name"))


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List architectures, datasets and exporters with a summary and the distribution that provides them.

    Architectures of zoo's own distributions that are not installed are listed last, with the distribution to install.
    """
    kinds: dict[str, Registry] = {  # type: ignore[type-arg]
        "architectures": architectures(),
        "data_sets": datasets(),
        "exporters": exporters(),
    }
    if as_json:
        found = {
            kind: [
                {"name": offer.record.name, "summary": offer.record.summary, "distribution": offer.distribution}
                for offer in registry
            ]
            for kind, registry in kinds.items()
        }
        click.echo(json.dumps(found, indent=2))
        return
    window = terminal_width()
    for title, registry, offers in _sorted_by_use():
        if offers:
            _show(title, _rows(registry, offers), window)
    known = [(name, ", ".join(brings)) for name, brings in KNOWN.items() if not is_installed(name)]
    if known:
        _say("Known but not installed; install with: python -m pip install NAME", window)
        click.echo(table(_COLUMNS[:2], known, window, _INDENT))


def _say(title: str, window: int | None) -> None:
    for line in wrap(title, window):
        click.echo(line)


def _sorted_by_use() -> Iterator[tuple[str, Registry[Any], list[Offer[Any]]]]:
    """Everything that can be used, grouped under headings. Architectures with pretrained weights come first."""
    known = architectures()
    at_hand = sorted(filter(_top1, known), key=_top1, reverse=True)
    by_name = [offer for offer in known if offer.record.weights and not _top1(offer)]
    yield "Architectures with pretrained weights, sorted by ImageNet accuracy", known, at_hand
    yield "Architectures with other pretrained weights, most of them downloaded on first use", known, by_name
    yield "Architectures to train from scratch", known, [offer for offer in known if not offer.record.weights]
    yield "Datasets", datasets(), list(datasets())
    yield "Exporters", exporters(), list(exporters())


def _top1(offer: Offer[Architecture]) -> float:
    return max((weights.top1 or 0.0 for weights in offer.record.weights), default=0.0)


def _rows(registry: Registry[Any], offers: Sequence[Offer[Any]]) -> list[tuple[str, str, str]]:
    rows = []
    for offer in offers:
        contested = "(contested) " if registry.contested(offer.record.name) else ""
        rows.append((offer.record.name, contested + offer.record.summary, offer.distribution))
    return rows


def _show(title: str, rows: Sequence[tuple[str, str, str]], window: int | None) -> None:
    """Prints one line per record. If the window is too narrow, the distribution is omitted, and the summary is cut
    after a word."""
    _say(title, window)
    shown = table(_COLUMNS, rows, None, _INDENT)
    if window is not None and max(map(width_of, shown.splitlines())) > window:
        room = window - len(_INDENT) - max(width_of(name) for name, _, _ in rows) - 2
        cut = [(name, _cut(summary, room)) for name, summary, _ in rows]
        shown = table(_COLUMNS[:2], cut, window, _INDENT)
    click.echo(shown)


def _cut(summary: str, room: int) -> str:
    if width_of(summary) <= room:
        return summary
    return f"{wrap(summary, room - 2)[0]} …" if room >= _LEAST_SUMMARY else ""
