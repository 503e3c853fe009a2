"""The types of records that can be checked, found by record or by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from zoo.errors import UsageError, unknown_name
from zoo.interfaces import Architecture, Dataset, Exporter
from zoo.registry import architectures, datasets, exporters
from zoo.testing.callbacks import Callbacks, all_callbacks
from zoo.testing.workspace import Workspace


@dataclass(frozen=True)
class Kind:
    """A kind of record.

    Args:
        name: Name for ``zoo plugin check --kind``.
        word: Name in messages.
        record: Class of the record.
        workspace: Module and class of the objects that its checks share. Imported when a check is run.
        names: Returns the names of the installed records.
        get: Returns the record of a name.
    """

    name: str
    word: str
    record: type[Any]
    workspace: tuple[str, str]
    names: Callable[[], list[str]]
    get: Callable[[str], Any]

    def open(self, record: Any, size_px: int | None) -> Workspace:
        module, name = self.workspace
        found: Workspace = getattr(importlib.import_module(module), name)(record, size_px)
        return found


def _names(registry: Callable[[], Any]) -> Callable[[], list[str]]:
    return lambda: sorted({offer.record.name for offer in registry()})


KINDS = (
    Kind(
        "architecture",
        "architecture",
        Architecture,
        ("zoo.testing.subject", "Subject"),
        _names(architectures),
        lambda name: architectures().get(name),
    ),
    Kind(
        "exporter",
        "exporter",
        Exporter,
        ("zoo.testing.exporter", "ExporterSubject"),
        _names(exporters),
        lambda name: exporters().get(name),
    ),
    Kind(
        "dataset",
        "dataset",
        Dataset,
        ("zoo.testing.dataset", "DatasetSubject"),
        _names(datasets),
        lambda name: datasets().get(name),
    ),
    Kind(
        "callbacks",
        "callbacks of a distribution",
        Callbacks,
        ("zoo.testing.callbacks", "CallbacksSubject"),
        lambda: sorted(all_callbacks()),
        lambda name: all_callbacks()[name],
    ),
)

NAMES = tuple(kind.name for kind in KINDS)


def kind_of(record: Any) -> Kind:
    """The kind of a record.

    Raises:
        UsageError: It is not a record that can be checked.
    """
    for kind in KINDS:
        if isinstance(record, kind.record):
            return kind
    raise UsageError(f"There are no checks for {record!r:.80}.", f"Kinds: {', '.join(NAMES)}.")


def resolve(record: Any, kind: str | None = None) -> Any:
    """The record of a name. A record is returned unchanged.

    Args:
        record: A record, or the name of something that is installed.
        kind: Name of the kind. ``None``: any kind.

    Raises:
        UsageError: Nothing has this name, or two kinds have it, or two distributions offer it.
    """
    if not isinstance(record, str):
        return record
    found = list(_called(record, kind))
    if len(found) > 1:
        words = " and ".join(f"{kind.word} ({kind.name})" for kind in found)
        raise UsageError(
            f"'{record}' is the name of several records: {words}.", f"Select one with --kind {found[0].name}."
        )
    if not found:
        wanted = [known for known in KINDS if kind in (None, known.name)]
        *others, last = (known.word for known in wanted)
        said = f"{', '.join(others)} or {last}" if others else last
        raise unknown_name(said, record, [name for known in wanted for name in known.names()])
    return found[0].get(record)


def _called(name: str, kind: str | None) -> Iterator[Kind]:
    for known in KINDS:
        if kind in (None, known.name) and name in known.names():
            yield known
