"""Finds the exporter that reads a file."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import UsageError
from zoo.interfaces import Exporter
from zoo.registry import exporters


def exporter_of(path: Path) -> Exporter:
    """The installed exporter of a file's format, by its longest matching suffix. Variants are excluded.

    Raises:
        UsageError: The file does not exist, no exporter reads its suffix, or two do.
        ExportError: One of its parts is missing.
    """
    records = [offer.record for offer in exporters() if not offer.record.variant_of]
    if not path.is_file():
        kind = "is not a file" if path.exists() else "does not exist"
        raise UsageError(f"The exported file '{path}' {kind}.", _known(records))
    matching = [record for record in records if path.name.lower().endswith(record.suffix.lower())]
    longest = max((len(record.suffix) for record in matching), default=0)
    names = list(dict.fromkeys(record.name for record in matching if len(record.suffix) == longest))
    if not names:
        raise UsageError(f"No installed format has the suffix of '{path}'.", _known(records))
    if len(names) > 1:
        raise UsageError(
            f"'{path}' may be of the formats {' and '.join(names)}: both have the suffix '{path.suffix}'.",
            "Disable one of the distributions with ZOO_DISABLE_PLUGINS.",
        )
    exporter = exporters().get(names[0])
    exporter.files(path)
    return exporter


def _known(records: list[Exporter]) -> str:
    formats = dict.fromkeys(f"{record.name} ({record.suffix})" for record in records)
    return f"Formats: {', '.join(formats)}." if formats else "No exporter is installed."
