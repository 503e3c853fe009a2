"""Metadata of a file, and errors on invalid files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.errors import ExportError
from zoo.interfaces import Exporter
from zoo.testing.exporter import ExporterSubject
from zoo.testing.result import CheckError, one_line

_DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "an empty file": lambda content: b"",
    "a text": lambda content: b"a text, and no model",
    "half of the file": lambda content: content[: len(content) // 2],
    "a file of zeros": lambda content: content[:8] + bytes(2000),
}


def check_round_trip(subject: ExporterSubject) -> str:
    exporter = subject.exporter
    for precision in exporter.precisions:
        path = subject.copy(precision, "metadata")
        if (said := exporter.read_metadata(path)) is not None:
            raise CheckError(
                "a file has no metadata before any is written", f"{said!r:.80}", "Return None if there is none."
            )
        before = exporter.load(path, 1).predict(subject.pixels(2))
        metadata = subject.metadata(precision)
        exporter.write_metadata(path, metadata)
        said = exporter.read_metadata(path)
        if said != metadata:
            raise CheckError(
                "metadata is read as written, with any labels",
                f"{said!r:.200}" if said is None else _difference(metadata.as_dict(), said.as_dict()),
                "Store all of Metadata.to_json(), and escape what the format cannot store, such as lone surrogates.",
            )
        if not np.array_equal(exporter.load(path, 1).predict(subject.pixels(2)), before):
            raise CheckError(
                "writing metadata changes no prediction", "another prediction", "Change only the metadata."
            )
    return "labels with any text are read as written, and predictions do not change"


def _difference(wrote: dict[str, object], read: dict[str, object]) -> str:
    return "; ".join(
        f"{name}: {read[name]!r:.80} for {wrote[name]!r:.80}" for name in wrote if read[name] != wrote[name]
    )


def check_written_twice(subject: ExporterSubject) -> str:
    exporter = subject.exporter
    for precision in exporter.precisions:
        path = subject.copy(precision, "metadata")
        metadata = subject.metadata(precision)
        exporter.write_metadata(path, metadata)
        first = _contents(exporter, path)
        exporter.write_metadata(path, metadata)
        _same(first, _contents(exporter, path), "the same metadata written twice gives the same bytes")
        longer = subject.longer_metadata(precision)
        exporter.write_metadata(path, longer)
        if exporter.read_metadata(path) != longer:
            raise CheckError(
                "metadata replaces earlier metadata",
                "the metadata is the old one, or a mixture",
                "Replace all of it.",
            )
        exporter.write_metadata(path, metadata)
        _same(
            first,
            _contents(exporter, path),
            "metadata leaves nothing behind: the first metadata again gives the same bytes",
        )
    return f"{sum(map(len, first.values()))} bytes, each time the same"


def _contents(exporter: Exporter, path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in exporter.files(path)}


def _same(first: dict[str, bytes], then: dict[str, bytes], expected: str) -> None:
    if changed := [name for name in first if first[name] != then.get(name)]:
        raise CheckError(
            expected, f"{changed[0]} differs", "Does it contain a date, or the old metadata in addition to the new?"
        )


def check_label_count(subject: ExporterSubject) -> str:
    exporter, precision = subject.exporter, subject.exporter.precisions[0]
    path = subject.copy(precision, "metadata")
    before = _contents(exporter, path)
    try:
        exporter.write_metadata(path, replace(subject.metadata(precision), labels=("a", "b")))
    except ExportError:
        _same(before, _contents(exporter, path), "a refusal does not change the file")
        return "2 labels for 5 outputs are refused"
    raise CheckError(
        "a number of labels other than that of the outputs is refused with an ExportError",
        "2 labels were written into a file with 5 outputs",
        "Compare their number with the shape of the output before writing.",
    )


def check_damaged(subject: ExporterSubject) -> str:
    exporter, precision = subject.exporter, subject.exporter.precisions[0]
    path = subject.copy(precision, "damaged")
    exporter.write_metadata(path, subject.metadata(precision))
    whole = path.read_bytes()
    for what, damage in _DAMAGES.items():
        path.write_bytes(damage(whole))
        for name in ("read_metadata", "write_metadata", "load"):
            _expect_error(subject, path, name, what)
    path.write_bytes(whole)
    parts = exporter.files(path)[1:]
    for part in parts:
        part.write_bytes(part.read_bytes()[:-1])
        _expect_error(subject, path, "load", f"a part, {part.name}, that lacks its last byte")
        part.unlink()
        _expect_error(subject, path, "load", f"a part, {part.name}, that is missing")
    path.unlink()
    for name in ("read_metadata", "load"):
        _expect_error(subject, path, name, "a missing file")
    return f"{len(_DAMAGES) + 1 + 2 * len(parts)} kinds of damage are named"


def _expect_error(subject: ExporterSubject, path: Path, name: str, what: str) -> None:
    exporter = subject.exporter
    calls: dict[str, Callable[[], object]] = {
        "read_metadata": lambda: exporter.read_metadata(path),
        "write_metadata": lambda: exporter.write_metadata(path, subject.metadata(exporter.precisions[0])),
        "load": lambda: exporter.load(path, 1),
    }
    mend = f"Convert exceptions of the format's library in {name}: raise ExportError(f'{{path}} ...') from error."
    try:
        calls[name]()
    except ExportError as error:
        if path.stem in error.message and len(error.message.splitlines()) == 1:
            return
        seen = f"{name}: {error.message!r:.200}"
        mend = "The message must be one line that names the file."
    except Exception as error:
        seen = f"{name}: {one_line(error)}"
    else:
        seen = f"{name}: no error"
    raise CheckError(f"{what} gives an ExportError of one line that names the file", seen, mend)


def check_any_name(subject: ExporterSubject) -> str:
    exporter, precision = subject.exporter, subject.exporter.precisions[0]
    folder = subject.folder(os.fsdecode(b"caf\xe9 \xc3\xa9"))
    path = folder / subject.path(precision).name
    for file in exporter.files(subject.path(precision)):
        shutil.copyfile(file, folder / file.name)
    try:
        exporter.write_metadata(path, subject.metadata(precision))
        said = exporter.read_metadata(path)
        exporter.load(path, 1).predict(subject.pixels(1))
    except Exception as error:
        raise CheckError(
            "a file can be read and written in a folder with any name",
            one_line(error),
            "Read the bytes of the file in Python.",
        ) from error
    if said != subject.metadata(precision):
        raise CheckError("a file can be read and written in a folder with any name", f"{said!r:.80}", "")
    return "a folder whose name is not UTF-8"
