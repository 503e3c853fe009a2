"""A command whose help has its options in groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import click


class GroupedCommand(click.Command):
    """A command with dozens of options.

    Args:
        groups: Names of the options by title of their group, in the order of the help. Options without a group come
            last.
    """

    def __init__(self, *args: Any, groups: Mapping[str, Collection[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._groups = groups

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        records = {option.name: record for option in options if (record := option.get_help_record(ctx))}
        for title, names in self._groups.items():
            with formatter.section(title):
                formatter.write_dl([records.pop(name) for name in names if name in records])
        with formatter.section("Other options"):
            formatter.write_dl(list(records.values()))
