"""The finished file of predictions: CSV, JSON Lines or Parquet. It appears whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from zoo.atomic import whole_file
from zoo.errors import UsageError
from zoo.predicting.rows import cells, columns

#: Rows of a Parquet file that are compressed together and held in memory.
_ROW_GROUP = 50_000


def find_writer(path: Path) -> Callable[[Path, Iterable[str], int, bool], None]:
    """The function that writes a file of this suffix, called as ``write(path, lines, top, says_known)``.

    Args:
        path: Path of the file.

    Raises:
        UsageError: The suffix is unknown, or the package for Parquet files is not installed.
    """
    writers = {".csv": _write_csv, ".jsonl": _write_lines, ".parquet": _write_parquet}
    if path.suffix.lower() not in writers:
        raise UsageError(f"The name of the file must end in {', '.join(writers)}. Received: '{path}'.")
    if path.suffix.lower() == ".parquet":
        parquet()
    return writers[path.suffix.lower()]


def parquet() -> tuple[Any, Any]:
    """The modules ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        UsageError: They are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Parquet files need the package pyarrow: {error}.", "python -m pip install 'keras-edge-zoo[parquet]'"
        ) from error
    return pyarrow, pyarrow.parquet


def _write_csv(path: Path, lines: Iterable[str], top: int, says_known: bool) -> None:
    # surrogateescape: a file name that is not UTF-8 is written as its original bytes.
    with whole_file(path) as aside, aside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        # Everything but numbers is quoted, because otherwise a carriage return in a name would be a line end.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow(columns(top, says_known))
        for row in map(json.loads, lines):
            found = ["" if cell is None else cell for cell in cells(row, top, says_known)]
            writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in found])


def _write_lines(path: Path, lines: Iterable[str], top: int, says_known: bool) -> None:
    with whole_file(path) as aside, aside.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)


def _write_parquet(path: Path, lines: Iterable[str], top: int, says_known: bool) -> None:
    pyarrow, writing = parquet()
    names = columns(top, says_known)
    kinds = {"known": pyarrow.bool_(), "probability": pyarrow.float32()}
    schema = pyarrow.schema([(name, kinds.get(name.rpartition("_")[0] or name, pyarrow.string())) for name in names])
    rows = (list(cells(json.loads(line), top, says_known)) for line in lines)
    with whole_file(path) as aside, writing.ParquetWriter(aside, schema) as file:
        for group in _groups(rows):
            values = dict(zip(names, zip(*group, strict=True), strict=True))
            # Text in Parquet is UTF-8, and a file name may consist of any bytes.
            values["file"] = tuple(_as_utf8(name) for name in values["file"])
            arrays = [pyarrow.array(values[field.name], field.type) for field in schema]
            file.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _groups(rows: Iterator[list[Any]]) -> Iterator[Iterable[list[Any]]]:
    for first in rows:
        yield chain([first], islice(rows, _ROW_GROUP - 1))


def _as_utf8(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
