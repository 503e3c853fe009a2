"""Discovery: every installed plugin is loaded by itself, so that a broken one costs nobody else anything."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from zoo import hookspecs
from zoo.errors import PluginError
from zoo.interfaces import Architecture, Dataset, Exporter

GROUP = "zoo"

#: Hooks whose records are collected at start, and the record each must return.
RECORD_HOOKS: dict[str, type] = {
    "zoo_architectures": Architecture,
    "zoo_exporters": Exporter,
    "zoo_datasets": Dataset,
}


@dataclass(frozen=True)
class LoadedPlugin:
    """One entry point, and what came of it.

    Args:
        entry_point: Its name within the distribution.
        distribution: The distribution that installed it.
        version: Of that distribution.
        status: ``ok``, ``failed`` or ``disabled``.
        error: One line, where it failed.
        records: What it offers, all kinds together.
    """

    entry_point: str
    distribution: str
    version: str
    status: str
    error: str | None = None
    records: tuple[Any, ...] = ()


class PluginManager:
    """The installed plugins, loaded once.

    ``ZOO_DISABLE_PLUGINS=dist[,dist]`` leaves distributions out; ``ZOO_STRICT_PLUGINS=1`` raises the first failure
    instead of going on without the plugin.
    """

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager("zoo")
        self._pluggy.add_hookspecs(hookspecs)
        self._strict = os.environ.get("ZOO_STRICT_PLUGINS", "") not in ("", "0")
        disabled = {_normal(name) for name in os.environ.get("ZOO_DISABLE_PLUGINS", "").split(",") if name.strip()}
        self.plugins = tuple(self._load(entry, disabled) for entry in _installed())

    def callbacks(self, **arguments: Any) -> list[Any]:
        """What ``zoo_callbacks`` returns, from all plugins; one that raises is named and passed over."""
        found: list[Any] = []
        for impl in self._pluggy.hook.zoo_callbacks.get_hookimpls():
            try:
                added: Any = impl.function(**{name: arguments[name] for name in impl.argnames})
                found += added
            except (Exception, SystemExit) as error:
                self._report(impl.plugin_name, f"zoo_callbacks: {_one_line(error)}", error)
        return found

    def _load(self, entry: EntryPoint, disabled: set[str]) -> LoadedPlugin:
        distribution = entry.dist.name if entry.dist else "unknown"
        version = entry.dist.version if entry.dist else "unknown"
        if _normal(distribution) in disabled:
            return LoadedPlugin(entry.name, distribution, version, "disabled")
        identity = f"{distribution}:{entry.name}"
        try:
            # What a plugin prints while it loads must not end up in the output of `zoo plugins --json`.
            with contextlib.redirect_stdout(sys.stderr):
                plugin = entry.load()
                self._pluggy.register(plugin, name=identity)
                records = tuple(self._records(plugin))
        except (Exception, SystemExit) as error:
            if self._pluggy.has_plugin(identity):
                self._pluggy.unregister(name=identity)
            reason = _one_line(error)
            self._report(distribution, reason, error)
            return LoadedPlugin(entry.name, distribution, version, "failed", reason)
        return LoadedPlugin(entry.name, distribution, version, "ok", None, records)

    def _records(self, plugin: object) -> Iterator[Any]:
        callers = self._pluggy.get_hookcallers(plugin) or []
        if not callers:
            raise PluginError("it implements no hook; is every one marked with zoo.hookimpl?")
        for caller in callers:
            if not caller.has_spec():
                known = ", ".join(name for name in vars(hookspecs) if name.startswith("zoo_"))
                raise PluginError(f"there is no hook '{caller.name}'; there are {known}")
        for hook, record in RECORD_HOOKS.items():
            for offered in _call(getattr(self._pluggy.hook, hook), plugin):
                if not isinstance(offered, record):
                    raise PluginError(f"{hook} must return {record.__name__} records; it returned {offered!r:.80}")
                yield offered

    def _report(self, distribution: str, reason: str, error: BaseException) -> None:
        if self._strict:
            hint = f"ZOO_DISABLE_PLUGINS={distribution} leaves it out."
            raise PluginError(f"Plugin '{distribution}' failed: {reason}", hint) from error
        print(f"zoo: plugin '{distribution}' is not used: {reason}", file=sys.stderr)


def _installed() -> list[EntryPoint]:
    # A distribution that is on sys.path twice (an editable install beside a wheel) is one plugin.
    unique = {(entry.dist.name if entry.dist else "", entry.name): entry for entry in entry_points(group=GROUP)}
    return [unique[key] for key in sorted(unique)]


def _call(caller: Any, plugin: object) -> list[Any]:
    functions: list[Callable[[], Any]] = [impl.function for impl in caller.get_hookimpls() if impl.plugin is plugin]
    return [record for function in functions for record in function() or ()]


def _normal(distribution: str) -> str:
    """PEP 503: names that differ by case, dash, dot or underscore alone are one."""
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()


def _one_line(error: BaseException) -> str:
    text = error.message if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]
