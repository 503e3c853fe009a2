"""The callbacks of a distribution under test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from zoo.registry import plugin_manager
from zoo.testing.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """A hook ``zoo_callbacks``.

    Args:
        name: Name of the distribution that installed it.
        make: The hook itself: ``make(recipe=..., run_dir=...)``, with the arguments that it accepts.
        expected_failures: Checks that are expected to fail, each with the reason.
    """

    name: str
    make: Callable[..., Iterable[Any]]
    expected_failures: dict[str, str] = field(default_factory=dict, hash=False)


def all_callbacks() -> dict[str, Callbacks]:
    """The installed hooks by distribution."""
    return {
        distribution: Callbacks(name=distribution, make=function)
        for distribution, function in plugin_manager().implementations("zoo_callbacks")
    }


class CallbacksSubject(Workspace):
    """Callbacks under test."""

    @property
    def callbacks(self) -> Callbacks:
        record: Callbacks = self.record
        return record
