"""``dataset.md`` next to the data: sources, number and licences of the images.

Every command that creates data writes its own part between two comments. It does not change the parts of other
commands, nor text that people added around them.
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
    """Information on a dataset from one command.

    Args:
        key: Name of the part: ``fetch`` or ``split``. It replaces an earlier part with the same key.
        title: Heading of the part.
        command: The command line, in a form that can be run again.
        sources: Pairs of source and number of images.
        counts: Number of images by split and class. The key is ``""`` if there are no splits.
        licences: Number of images by licence or its URL. Empty if unknown; the card then says so.
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
    """Writes a part into the ``dataset.md`` of a folder. The rest of the file is kept.

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
    """Number of images by licence, from the column ``licence`` of ``attribution.csv`` in a folder of images.

    Raises:
        DataError: The file is not UTF-8 text, or not CSV.
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
        f"## {markdown_text(part.title)}",
        f"{datetime.now(UTC):%Y-%m-%d}, by:\n\n    {readable(part.command)}",
        _table(("source", "images"), part.sources),
        _counts(part.counts),
        "### Licences",
        _table(("licence", "images"), licences)
        or "Unknown: no licence file was found next to the images. Check the licences before you distribute images"
        " or models.",
        "\n".join(f"- {markdown_text(note)}" for note in part.notes),
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
    lines += ["| " + " | ".join(markdown_text(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def markdown_text(value: object) -> str:
    """Escapes a name, so that it is one line and contains no Markdown, HTML or end of a comment."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", readable(value))
