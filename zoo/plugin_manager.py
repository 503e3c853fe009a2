"""Discovery of plugins. Each installed plugin is loaded separately, so that a broken one does not affect the others."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import Distribution, EntryPoint, EntryPoints, distributions, entry_points
from pathlib import Path
from typing import Any

import pluggy

from zoo import __version__, hookspecs
from zoo.errors import PluginError, Terminated
from zoo.interfaces import Architecture, Dataset, Exporter
from zoo.plugin_guard import blame_callback, one_line
from zoo.plugin_watch import watched

GROUP = "zoo"

#: The distribution whose version the ``Requires-Dist`` of a plugin refers to.
ZOO = "keras-edge-zoo"

#: Hooks whose records are collected at start, the type of their records, and its name in messages.
RECORD_HOOKS: dict[str, tuple[type[Any], str]] = {
    "zoo_architectures": (Architecture, "architecture"),
    "zoo_exporters": (Exporter, "exporter"),
    "zoo_datasets": (Dataset, "dataset"),
}


@dataclass(frozen=True)
class LoadedPlugin:
    """One entry point and its status.

    Args:
        entry_point: Its name within the distribution.
        distribution: The distribution that installed it.
        version: Version of that distribution.
        module: The module of the entry point. Empty if the metadata cannot be read.
        status: ``ok``; ``warned``: in use, with a problem in ``reason``; ``failed``: not in use; ``disabled``.
        reason: One line about the problem, if the status is ``warned`` or ``failed``.
        records: All records that it provides.
    """

    entry_point: str
    distribution: str
    version: str
    module: str
    status: str
    reason: str | None = None
    records: tuple[Any, ...] = ()


@dataclass(frozen=True)
class _Installed:
    """An entry point with its distribution's metadata. ``broken`` is the error if the metadata cannot be read."""

    entry: EntryPoint | None
    distribution: str
    version: str
    requires: tuple[str, ...] = ()
    broken: Exception | None = None


class PluginManager:
    """The installed plugins, loaded once.

    ``ZOO_DISABLE_PLUGINS=dist[,dist]`` disables distributions. ``ZOO_STRICT_PLUGINS=1`` raises the first failure
    instead of continuing without the plugin.
    """

    def __init__(self) -> None:
        self._pluggy = pluggy.PluginManager("zoo")
        self._pluggy.add_hookspecs(hookspecs)
        self._strict = os.environ.get("ZOO_STRICT_PLUGINS", "") not in ("", "0")
        disabled = {_normal(name) for name in os.environ.get("ZOO_DISABLE_PLUGINS", "").split(",") if name.strip()}
        loaded = [self._load(found, disabled) for found in _installed()]
        self.plugins = tuple(self._settle(loaded))

    def implementations(self, hook: str) -> list[tuple[str, Callable[..., Any]]]:
        """Distribution and function of every plugin that implements a hook."""
        found = getattr(self._pluggy.hook, hook).get_hookimpls()
        return [(impl.plugin_name.partition(":")[0], impl.function) for impl in found]

    def callbacks(self, **arguments: Any) -> list[Any]:
        """The results of ``zoo_callbacks`` from all plugins. A plugin that raises an error is reported and skipped."""
        import keras

        found: list[Any] = []
        for impl in self._pluggy.hook.zoo_callbacks.get_hookimpls():
            distribution = impl.plugin_name.partition(":")[0]
            try:
                returned: Any = impl.function(**{name: arguments[name] for name in impl.argnames})
                added = list(returned)
                for callback in added:
                    if not isinstance(callback, keras.callbacks.Callback):
                        raise PluginError(f"it returned {callback!r:.80}, not a keras.callbacks.Callback")
            except Terminated:
                raise
            except (Exception, SystemExit) as error:
                self._report(distribution, f"is not used in this run: zoo_callbacks: {one_line(error)}", error)
            else:
                for callback in added:
                    blame_callback(callback, distribution)
                found += added
        return found

    def run_finished(self, run: Any) -> None:
        """Notifies all plugins that a run is finished. A plugin that raises an error is reported and skipped."""
        for impl in self._pluggy.hook.zoo_run_finished.get_hookimpls():
            distribution = impl.plugin_name.partition(":")[0]
            try:
                impl.function(**{name: run for name in impl.argnames if name == "run"})
            except Terminated:
                raise
            except (Exception, SystemExit) as error:
                self._report(distribution, f"failed when it was notified of the finished run: {one_line(error)}", error)

    def commands(self) -> dict[str, tuple[str, Any]]:
        """Commands of plugins by name, with their distribution. If two have the same name, the first is used.

        A plugin that raises an error, or returns something else, is reported and skipped.
        """
        import click

        found: dict[str, tuple[str, Any]] = {}
        for impl in self._pluggy.hook.zoo_commands.get_hookimpls():
            distribution = impl.plugin_name.partition(":")[0]
            try:
                returned: Any = impl.function()
                for command in returned:
                    if not isinstance(command, click.Command) or not command.name:
                        raise PluginError(f"it returned {command!r:.80}, not a click.Command with a name")
                    if command.name in found:
                        raise PluginError(f"'{command.name}' is already a command of {found[command.name][0]}")
                    found[command.name] = (distribution, command)
            except Terminated:
                raise
            except (Exception, SystemExit) as error:
                self._report(distribution, f"adds no commands: zoo_commands: {one_line(error)}", error)
        return found

    def _load(self, found: _Installed, disabled: set[str]) -> LoadedPlugin:
        name, module = (found.entry.name, found.entry.module) if found.entry else ("", "")
        plugin = LoadedPlugin(name, found.distribution, found.version, module, "ok")
        if _normal(found.distribution) in disabled:
            return replace(plugin, status="disabled")
        identity = f"{found.distribution}:{name}"
        try:
            with watched() as seen:
                records = tuple(self._records(found, identity))
        except (KeyboardInterrupt, Terminated):
            print(f"zoo: interrupted while plugin '{found.distribution}' was being loaded", file=sys.stderr)
            raise
        except BaseException as error:  # including SystemExit
            if self._pluggy.has_plugin(identity):
                self._pluggy.unregister(name=identity)
            reason = one_line(error)
            self._report(found.distribution, f"is not used: {reason}", error)
            return replace(plugin, status="failed", reason=reason)
        if seen.remarks:
            reason = "; ".join(seen.remarks)
            self._report(found.distribution, f"misbehaves: {reason}")
            return replace(plugin, status="warned", reason=reason, records=records)
        return replace(plugin, records=records)

    def _records(self, found: _Installed, identity: str) -> Iterator[Any]:
        if found.entry is None:
            raise PluginError(f"its metadata cannot be read: {one_line(found.broken or ValueError())}")
        if unmet := _unmet(found.requires):
            raise PluginError(f"it needs {ZOO}{unmet}, but the installed version is {__version__}")
        plugin = found.entry.load()
        self._pluggy.register(plugin, name=identity)
        callers = self._pluggy.get_hookcallers(plugin) or []
        if not callers:
            raise PluginError("it implements no hook. Are its functions marked with zoo.hookimpl?")
        implemented = {
            caller.name: [impl for impl in caller.get_hookimpls() if impl.plugin is plugin] for caller in callers
        }
        for caller in callers:
            if not caller.has_spec() and not all(impl.optionalhook for impl in implemented[caller.name]):
                known = ", ".join(name for name in vars(hookspecs) if name.startswith("zoo_"))
                raise PluginError(f"there is no hook '{caller.name}'. Known hooks: {known}")
        for hook, (record, kind) in RECORD_HOOKS.items():
            names = set()
            for impl in implemented.get(hook, []):
                for offered in _offered(impl.function(), hook, record):
                    if offered.name in names:
                        raise PluginError(f"it offers the {kind} '{offered.name}' twice")
                    names.add(offered.name)
                    yield offered

    def _settle(self, loaded: list[LoadedPlugin]) -> Iterator[LoadedPlugin]:
        """Reports a conflict once, and records it for every plugin involved."""
        conflicts = _conflicts(loaded)
        for (kind, owners), names in conflicts.items():
            by = " and by ".join(_owner(loaded[index]) for index in owners)
            others = [loaded[index].distribution for index in owners if loaded[index].distribution != ZOO]
            self._report_line(
                f"zoo: {kind} {_listed(names)}: provided by {by}, so none of them is used "
                f"(to resolve this, set ZOO_DISABLE_PLUGINS={(others or [ZOO])[-1]})"
            )
        for index, plugin in enumerate(loaded):
            reasons = [plugin.reason] if plugin.reason else []
            for (kind, owners), names in conflicts.items():
                if index in owners:
                    rivals = " and ".join(_owner(loaded[other]) for other in owners if other != index)
                    reasons.append(f"{kind} {_listed(names)}: also provided by {rivals}, so none of them is used")
            if reasons and plugin.status == "ok":
                plugin = replace(plugin, status="warned")
            yield replace(plugin, reason="; ".join(reasons) or None)

    def _report(self, distribution: str, what: str, error: BaseException | None = None) -> None:
        hint = f"To disable it, set ZOO_DISABLE_PLUGINS={distribution}."
        self._report_line(f"zoo: plugin '{distribution}' {what}", hint, error)

    def _report_line(self, line: str, hint: str | None = None, error: BaseException | None = None) -> None:
        if self._strict:
            message = line.removeprefix("zoo: ")
            raise PluginError(message[0].upper() + message[1:], hint) from error
        print(line, file=sys.stderr)


def _installed() -> list[_Installed]:
    # A distribution that is on sys.path twice (an editable install and a wheel) counts as one plugin.
    unique: dict[tuple[str, str], _Installed] = {}
    for entry in _entry_points(unique):
        found = _read(entry)
        unique.setdefault((_normal(found.distribution), entry.name), found)
    return [unique[key] for key in sorted(unique)]


def _read(entry: EntryPoint) -> _Installed:
    try:
        metadata: Any = entry.dist.metadata if entry.dist else {}
        name, version, requires = metadata["Name"], metadata["Version"], metadata.get_all("Requires-Dist")
    except Exception as error:  # a half-removed distribution
        return _Installed(None, entry.module, "unknown", broken=error)
    return _Installed(entry, name or entry.module, version or "unknown", tuple(requires or ()))


def _entry_points(broken: dict[tuple[str, str], _Installed]) -> list[EntryPoint]:
    try:
        return list(entry_points(group=GROUP))
    except Exception:
        # One damaged entry_points.txt prevents reading all others at once, so they are read one by one, which is
        # slower.
        found: list[EntryPoint] = []
        for distribution in distributions():
            try:
                found += distribution.entry_points.select(group=GROUP)
            except Exception as error:
                name, version = distribution.name or "unknown", distribution.version or "unknown"
                where = _metadata_folder(distribution, name, version)
                broken[_normal(name), ""] = _Installed(None, name, version, broken=ValueError(f"{where}: {error}"))
        _guard_others()
        return found


def _metadata_folder(distribution: Distribution, name: str, version: str) -> str:
    site = Path(str(distribution.locate_file("")))
    return str(next(iter(sorted(site.glob(f"{re.sub('[-_.]+', '[-_.]', name)}-{version}.*-info"))), site))


def _guard_others() -> None:
    """Hides broken metadata from libraries that search for their own plugins and would fail on it.

    The broken metadata was already reported.
    """
    read: Callable[[Distribution], EntryPoints] = vars(Distribution)["entry_points"].fget

    def entry_points_or_none(self: Distribution) -> EntryPoints:
        try:
            return read(self)
        except (ValueError, TypeError, AttributeError):
            return EntryPoints(())

    importlib.metadata.Distribution.entry_points = property(entry_points_or_none)  # type: ignore[assignment, method-assign]


def _unmet(requires: tuple[str, ...]) -> str:
    """The unmet requirement of a distribution on zoo's version, such as ``>=0.9``. Empty if it is met."""
    for line in requires:
        name, rest = re.fullmatch(r"([\w.-]*)(.*)", line.strip(), re.DOTALL).groups()  # type: ignore[union-attr]
        if _normal(name) != ZOO or _plainly_met(rest):
            continue
        from packaging.requirements import Requirement

        requirement = Requirement(line)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and not requirement.specifier.contains(__version__, prereleases=True):
            return str(requirement.specifier)
    return ""


def _plainly_met(condition: str) -> bool:
    """Whether a condition has the usual form ``>=0.1`` and is met. The library for other forms takes long to import."""
    plain = re.fullmatch(r"\s*\(?\s*>=\s*(\d+(?:\.\d+)*)\s*\)?\s*", condition)
    own = re.match(r"\d+(?:\.\d+)*$", __version__)
    if not plain or not own:
        return False
    return [int(part) for part in own[0].split(".")] >= [int(part) for part in plain[1].split(".")]


def _offered(returned: Any, hook: str, record: type[Any]) -> Iterator[Any]:
    try:
        offers = iter(returned)
    except TypeError:
        raise PluginError(
            f"{hook} must return a list of {record.__name__} records; it returned {returned!r:.80}"
        ) from None
    for offer in offers:
        if not isinstance(offer, record):
            raise PluginError(f"{hook} must return {record.__name__} records; it returned {offer!r:.80}")
        summary = getattr(offer, "summary", None)
        if not isinstance(summary, str) or len(summary.splitlines()) > 1:
            raise PluginError(f"the summary of '{offer.name}' must be one line of text, but is {summary!r:.80}")
        yield offer


def _conflicts(loaded: list[LoadedPlugin]) -> dict[tuple[str, tuple[int, ...]], list[str]]:
    """Names that several plugins provide, by type and by the indices of the plugins in the list."""
    owners: dict[tuple[str, str], list[int]] = {}
    for index, plugin in enumerate(loaded):
        for offer in plugin.records:
            kind = next(word for record, word in RECORD_HOOKS.values() if isinstance(offer, record))
            owners.setdefault((kind, offer.name), []).append(index)
    found: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (kind, name), indices in owners.items():
        if len(indices) > 1:
            found.setdefault((kind, tuple(indices)), []).append(name)
    return found


def _owner(plugin: LoadedPlugin) -> str:
    return f"{plugin.distribution} {plugin.version}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + more


def _normal(distribution: str) -> str:
    """Normalises a name by PEP 503: names that differ only in case, dash, dot or underscore are equal."""
    return re.sub(r"[-_.]+", "-", distribution.strip()).lower()
