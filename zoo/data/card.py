"""``dataset.md``: where the images come from, how many there are, under which licences; beside the data.

Every command that makes data writes a part of its own between two comments, and replaces no other: neither another
command's, nor what people wrote round them.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from zoo.atomic import read_text, write_text
from zoo.data.source import CSV_HINT
from zoo.errors import DataError
from zoo.terminal import readable
from zoo.text_files import decode_csv

CARD_NAME = "dataset.md"


@dataclass(frozen=True, kw_only=True)
class CardPart:
    """What one command knows of a dataset.

    Args:
        key: Names the part: ``fetch``, ``split``. Written again, it takes the place of the part of that key.
        title: Its heading.
        command: The command line, fit to be run again.
        sources: ``(where images come from, how many)``.
        counts: Split to class to number of images; the key ``""`` where there are no splits.
        licences: Licence, or its address, to number of images. Empty: nothing is known, and the card says so.
        notes: Sentences below the tables.
    """

    key: str
    title: str
    command: str
    sources: Sequence[tuple[str, int]]
    counts: Mapping[str, Mapping[str, int]]
    licences: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write_card(folder: Path, part: CardPart) -> Path:
    """Writes a part into the ``dataset.md`` of a folder; whatever else stands in that file stays.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    path = folder / CARD_NAME
    before = read_text(path) if path.is_file() else "# Dataset\n"
    begin, end = f"<!-- zoo data {part.key}: begin -->", f"<!-- zoo data {part.key}: end -->"
    text = f"{begin}\n{_markdown(part)}{end}"
    written = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    after, replaced = written.subn(lambda _: text, before, count=1)
    write_text(path, after if replaced else f"{before.rstrip()}\n\n{text}\n")
    return path


def licences_beside(folder: Path) -> dict[str, int]:
    """Licence to number of images, by the column ``licence`` of the ``attribution.csv`` in a folder of images.

    Raises:
        DataError: That file is no UTF-8 text, or no CSV.
    """
    path = folder / "attribution.csv"
    if not path.is_file():
        return {}
    try:
        rows = csv.DictReader(io.StringIO(decode_csv(path.read_bytes()), newline=""))
        return dict(Counter((row.get("licence") or "").strip() or "not stated" for row in rows))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"Could not read '{path}': {error}.", CSV_HINT) from None


def _markdown(part: CardPart) -> str:
    licences = sorted(part.licences.items(), key=lambda item: -item[1])
    blocks = [
        f"## {_inline(part.title)}",
        f"{datetime.now(UTC):%Y-%m-%d}, by:\n\n    {readable(part.command)}",
        _table(("source", "images"), part.sources),
        _counts(part.counts),
        "### Licences",
        _table(("licence", "images"), licences)
        or "Not known: nothing beside the images names any. Find out before you pass images or models on.",
        "\n".join(f"- {_inline(note)}" for note in part.notes),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _counts(counts: Mapping[str, Mapping[str, int]]) -> str:
    labels = sorted({label for found in counts.values() for label in found})
    splits = list(counts)
    if len(splits) == 1:
        header = ("class", splits[0] or "images")
        rows = [(label, counts[splits[0]].get(label, 0)) for label in labels]
        return _table(header, [*rows, ("all", sum(counts[splits[0]].values()))])
    cells = [(label, *(found.get(label, 0) for found in counts.values())) for label in labels]
    total = ("all", *(sum(found.values()) for found in counts.values()))
    return _table(("class", *splits), [*cells, total])


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return ""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(_inline(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _inline(value: object) -> str:
    """A name as text of one cell: nothing in it is taken for Markdown, HTML or the end of a comment."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", readable(value)) if isinstance(value, str) else str(value)
