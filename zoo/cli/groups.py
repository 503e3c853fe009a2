"""Groups of commands, each imported only when it is called, and commands whose help groups their options."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Mapping
from typing import Any

import click

from zoo.errors import unknown_name


class LazyGroup(click.Group):
    """A group that ``--help`` shows without importing any of its commands.

    Args:
        table: For each command, its module (which defines ``command``) and its line in ``--help``.
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def more(self) -> Mapping[str, click.Command]:
        """Commands in addition to those of the table. Only called if the name is not in the table."""
        return {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._table, *self.more()]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self._table:
            return self.more().get(name)
        command = importlib.import_module(self._table[name][0]).command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader closed the pipe (`zoo list | head`), which is not an error; click would exit with 1. Output in
            # the buffer can no longer be written.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ctx.exit(0)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._table.items()])
        if more := self.more():
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in more.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._table and not args[0].startswith("-") and args[0] not in self.more():
            raise unknown_name("command", args[0], [*self._table, *self.more()])
        return super().resolve_command(ctx, args)


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
