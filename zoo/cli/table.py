"""Plain aligned columns: quick to print, fit for a pipe."""

from __future__ import annotations

from collections.abc import Sequence

import click


def print_table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """A title and rows below it; nothing where there are no rows."""
    if not rows:
        return
    click.echo(title)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo(("  " + "  ".join(cells)).rstrip())
