"""Records by name, with their distributions. A name that two distributions provide cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from zoo.errors import UsageError, unknown_name
from zoo.interfaces import Architecture, Dataset, Exporter
from zoo.known_plugins import brought_by, is_installed
from zoo.plugin_guard import guarded
from zoo.plugin_manager import ZOO, PluginManager

Record = TypeVar("Record", Architecture, Dataset, Exporter)


@dataclass(frozen=True)
class Offer(Generic[Record]):
    """A record and its distribution. Errors of its functions name the plugin."""

    record: Record
    distribution: str
    version: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "record", guarded(self.record, self.distribution))


class Registry(Generic[Record]):
    """All records of one type.

    Args:
        kind: Name of the type in messages: ``architecture``, ``dataset``, ``exporter``.
        offers: All offers of that type, including conflicting names.
    """

    def __init__(self, kind: str, offers: list[Offer[Record]]) -> None:
        self.kind = kind
        self._offers: dict[str, list[Offer[Record]]] = {}
        for offer in sorted(offers, key=lambda offer: (offer.record.name, offer.distribution)):
            self._offers.setdefault(offer.record.name, []).append(offer)

    def __iter__(self) -> Iterator[Offer[Record]]:
        for offers in self._offers.values():
            yield from offers

    def __contains__(self, name: str) -> bool:
        return name in self._offers

    def contested(self, name: str) -> bool:
        return len(self._offers[name]) > 1

    def offer(self, name: str) -> Offer[Record]:
        """The offer of a name.

        Raises:
            UsageError: No distribution provides the name, or several do.
        """
        offers = self._offers.get(name)
        if not offers:
            raise (self.missing(name) or unknown_name(self.kind, name, self._offers))
        if len(offers) > 1:
            owners = [f"{offer.distribution} {offer.version}" for offer in offers]
            others = [offer.distribution for offer in offers if offer.distribution != ZOO] or [ZOO]
            raise UsageError(
                f"The {self.kind} name '{name}' is provided by {' and by '.join(owners)}.",
                f"Uninstall one, or disable one with ZOO_DISABLE_PLUGINS={others[-1]}.",
            )
        return offers[0]

    def missing(self, name: str) -> UsageError | None:
        """The error for a name that is provided by a plugin of zoo which is not installed or was not loaded. ``None``
        for other names."""
        distribution = brought_by(name) if self.kind == "architecture" and name not in self._offers else ""
        if not distribution:
            return None
        if is_installed(distribution):
            said = f"The architecture '{name}' is in {distribution}, which is installed but was not loaded."
            return UsageError(said, "For the reason, run `zoo plugin list`.")
        return UsageError(
            f"The architecture '{name}' is in {distribution}, which is not installed.",
            f"python -m pip install {distribution}",
        )

    def get(self, name: str) -> Record:
        """The record of a name. Raises the same errors as ``offer``."""
        return self.offer(name).record


@cache
def plugin_manager() -> PluginManager:
    """The one plugin manager of this process; the first call loads the plugins."""
    return PluginManager()


def architectures() -> Registry[Architecture]:
    return _registry("architecture", Architecture)


def datasets() -> Registry[Dataset]:
    return _registry("dataset", Dataset)


def exporters() -> Registry[Exporter]:
    return _registry("exporter", Exporter)


def _registry(kind: str, record: type[Record]) -> Registry[Record]:
    return Registry(kind, [offer for offer in _offers(plugin_manager()) if isinstance(offer.record, record)])


@cache  # cached, because guarding dozens of records takes a millisecond and the lists are needed often
def _offers(manager: PluginManager) -> list[Offer[Any]]:
    return [
        Offer(offered, plugin.distribution, plugin.version) for plugin in manager.plugins for offered in plugin.records
    ]
