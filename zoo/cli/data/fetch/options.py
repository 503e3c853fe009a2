"""Options that the commands of ``zoo data fetch`` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

OUT = click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the images. Files that are already in it are kept.",
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Print only the number and size of the images.")
JOBS = click.option(
    "--jobs", type=click.IntRange(1, 256), default=32, show_default=True, help="Number of parallel downloads."
)


class ListCommand(click.Command):
    """A command whose repeatable options take several values at once: ``--classes Rugby Football``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        repeatable = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, _spread(args, repeatable))


def _spread(args: list[str], repeatable: set[str]) -> list[str]:
    """Rewrites ``--classes A B`` as ``--classes A --classes B``."""
    spread: list[str] = []
    name, values = "", 0
    for arg in args:
        if arg.startswith("-") and arg != "-":
            name, values = (arg if arg in repeatable else ""), 0
            spread.append(arg)
        else:
            spread += [name, arg] if name and values else [arg]
            values += 1
    return spread
