"""Photos to predict: files, folders, and lists of paths in a text, CSV or Parquet file, one at a time."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.edge.sources import listed
from zoo.errors import DataError, UsageError
from zoo.images import ImageError

if TYPE_CHECKING:
    from zoo.edge.sources import Picture

#: Suffixes of files that list paths.
LISTS = (".txt", ".csv", ".parquet")

#: Names of the column of paths in a list with columns. The second is that of zoo's own predictions.
_COLUMNS = ("path", "file")


@dataclass(frozen=True)
class Photo:
    """One photo to predict.

    Args:
        name: Name in the predictions: the path as it was given.
        path: Path of the file, relative to the working folder. Empty if it cannot be read.
        reason: Why it cannot be read. Usually empty.
    """

    name: str
    path: str
    reason: str = ""

    def picture(self, folder: Path) -> Path | ImageError:
        """The photo for ``Classifier.classify``. ``folder`` is the working folder."""
        return ImageError(self.reason, self.name) if self.reason else folder / self.path

    def as_json(self) -> list[str]:
        return [self.name, self.path, self.reason] if self.reason else [self.name, self.path]


def is_list(argument: str) -> bool:
    return Path(argument).suffix.lower() in LISTS


def pictures_of(arguments: Sequence[str]) -> Iterator[tuple[str, Picture]]:
    """Yields name and picture of each photo of files, folders and lists. ``-`` is standard input."""
    for argument in arguments:
        if is_list(argument):
            yield from ((photo.name, photo.picture(Path())) for photo in _listed_in(Path(argument)))
        else:
            yield from listed([argument])


def photos_of(arguments: Iterable[str], stdin: Path) -> Iterator[Photo]:
    """The photos of files, folders and lists. ``-`` is the file ``stdin``.

    Raises:
        DataError: A list cannot be read.
    """
    for argument in arguments:
        if argument == "-":
            yield Photo("-", str(stdin))
        elif is_list(argument):
            yield from _listed_in(Path(argument))
        else:
            for name, picture in listed([argument]):
                yield Photo(name, "", picture.reason) if isinstance(picture, ImageError) else Photo(name, name)


def digest_of_lists(arguments: Iterable[str], stdin: Path) -> str:
    """SHA-256 of the lists among the arguments, and of the file ``stdin`` if ``-`` is one of them."""
    digest = hashlib.sha256()
    for argument in arguments:
        if argument == "-" or is_list(argument):
            with _opened(stdin if argument == "-" else Path(argument)) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _listed_in(path: Path) -> Iterator[Photo]:
    with _opened(path):
        pass
    names = {".txt": _lines, ".csv": _rows, ".parquet": _column}[path.suffix.lower()](path)
    for name in names:
        if not name:
            continue
        if "\0" in name:
            yield Photo(name.replace("\0", "\\0"), "", "its path contains a null byte")
        else:
            yield Photo(name, os.path.join(path.parent, name))  # noqa: PTH118 - a Path would drop "./"


def _opened(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"Could not read the list '{path}': {error.strerror}.") from error


def _lines(path: Path) -> Iterator[str]:
    _refuse_other_kind(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
        for line in file:
            yield line.rstrip("\r\n")


def _rows(path: Path) -> Iterator[str]:
    _refuse_other_kind(path)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file)
        columns = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        column = _column_of_paths(path, columns)
        try:
            for row in reader:
                yield row[column] or ""
        except csv.Error as error:
            raise DataError(f"'{path}', line {reader.line_num}: {error}.") from error


def _refuse_other_kind(path: Path) -> None:
    from zoo.data.source import CSV_HINT
    from zoo.text_files import decode_text

    with path.open("rb") as file:
        try:
            decode_text(file.read(4096))
        except ValueError as error:
            raise DataError(f"Could not read the list '{path}': {error}.", CSV_HINT) from None


def _column(path: Path) -> Iterator[str]:
    from zoo.predicting.table import parquet

    pyarrow, reading = parquet()
    try:
        with reading.ParquetFile(path) as file:
            column = _column_of_paths(path, file.schema_arrow.names)
            kind = file.schema_arrow.field(column).type
            if kind not in (pyarrow.string(), pyarrow.large_string()):
                raise UsageError(f"The column '{column}' of '{path}' must contain paths as text. Its type is {kind}.")
            for batch in file.iter_batches(batch_size=4096, columns=[column]):
                yield from (value or "" for value in batch.column(0).to_pylist())
    except pyarrow.ArrowException as error:
        raise DataError(f"Could not read the list '{path}': {error}.") from error


def _column_of_paths(path: Path, columns: Sequence[str]) -> str:
    for column in _COLUMNS:
        if column in columns:
            return column
    raise UsageError(
        f"'{path}' has no column of paths. Its columns: {', '.join(columns) or 'none'}.",
        f"Name the column '{_COLUMNS[0]}'. Paths are relative to the folder of the list.",
    )
