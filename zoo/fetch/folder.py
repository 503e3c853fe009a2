"""The target folder of a download: its images, their credits, and the state of an interrupted run.

<out>/<class>/<image>       complete images only
<out>/attribution.csv       source, licence and author of each image
<out>/failed.csv            failed downloads of the last run, with the reason
<out>/.zoo-fetch/           until a run is complete: partial files, the lock, refused downloads
"""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path

from zoo.atomic import read_csv, write_csv
from zoo.data.card import CARD_NAME, CardPart, write_card
from zoo.errors import DataError, TrainingError, UsageError
from zoo.fetch.disk import busy, unwritable
from zoo.fetch.names import Names, folded
from zoo.locks import locked

ATTRIBUTION = "attribution.csv"
FAILED = "failed.csv"
STATE = ".zoo-fetch"
FAILED_FIELDS = ("label", "url", "reason")
CREDIT_FIELDS = ("path", "label", "source", "url", "page", "licence", "author", "author_page", "title")

_SUFFIXES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".mpo")


@dataclass(frozen=True, kw_only=True)
class Credit:
    """Source, author and licence of an image. Unknown fields are empty."""

    source: str = ""
    url: str = ""
    page: str = ""
    licence: str = ""
    author: str = ""
    author_page: str = ""
    title: str = ""

    def row(self, path: str, label: str) -> tuple[str, ...]:
        return (path, label, *astuple(self))


@dataclass(frozen=True)
class Failure:
    """A failed download.

    Args:
        url: Its URL, or its name in an archive.
        label: Folder of its class.
        reason: A short reason.
        temporary: Whether the failure is temporary, so that a later run may succeed.
    """

    url: str
    label: str
    reason: str
    temporary: bool = False


@dataclass
class ImageFolder:
    """The folder of ``--out``.

    Args:
        root: The folder. It is created if it does not exist.
        labels: Folder name of each class. Classes that differ only by case share one folder.
    """

    root: Path
    labels: Names = field(init=False)

    def __post_init__(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"'{self.root}' is not a folder.", "--out must be a new or existing folder.")
        self.labels = Names(self._look())

    def _look(self) -> list[str]:
        """Reads the existing images and their credits, and returns the names of the folders."""
        try:
            folders = _names(self.root, folders=True)
            self._images = {
                name: {folded(Path(file).stem): file for file in _names(self.root / name, folders=False)}
                for name in folders
            }
        except OSError as error:
            raise DataError(f"Could not list '{error.filename or self.root}': {error.strerror}.") from error
        _own_rows(self.root / FAILED, FAILED_FIELDS)
        self._credits = self._read_credits()
        return folders

    @property
    def state(self) -> Path:
        return self.root / STATE

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Creates the folder and locks it for this process until the block ends.

        Raises:
            DataError: Another process is writing to it, or it cannot be written.
        """
        try:
            self.state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.state, error) from error
        with locked(self.state / "lock", busy(self.root)):
            # Another process may have filled the folder since the first check, and its files must not be lost.
            self._look()
            yield

    def complete(self) -> None:
        """Marks the run as complete.

        Removes partial files and refusals, so that failed downloads are retried next time.
        """
        shutil.rmtree(self.state, ignore_errors=True)

    def has(self, folder: str, stem: str) -> str | None:
        """The path of an image of any format, relative to the root. ``None`` if it does not exist."""
        name = self._images.get(folder, {}).get(folded(stem))
        return f"{folder}/{name}" if name else None

    def place(self, whole: Path, folder: str, name: str) -> str:
        """Moves a complete file to its final path, and returns that path relative to the root."""
        target = self.root / folder / name
        try:
            with whole.open("rb") as file:
                os.fsync(file.fileno())
            target.parent.mkdir(exist_ok=True)
            whole.replace(target)
        except OSError as error:
            raise unwritable(target, error) from error
        self._images.setdefault(folder, {})[folded(target.stem)] = name
        return f"{folder}/{name}"

    def credit(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Adds rows to ``attribution.csv`` immediately, not only at the end of the run."""
        with self.writing(ATTRIBUTION) as path, path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
        self._credits |= {row[0]: row for row in rows}

    def write_credits(self, rows: Sequence[tuple[str, ...]]) -> None:
        """Rewrites ``attribution.csv`` with these rows and the older rows of images that still exist."""
        self._credits |= {row[0]: row for row in rows}
        self._credits = {path: row for path, row in self._credits.items() if (self.root / path).is_file()}
        with self.writing(ATTRIBUTION) as path:
            write_csv(path, CREDIT_FIELDS, [self._credits[name] for name in sorted(self._credits)])

    @property
    def credits(self) -> list[Mapping[str, str]]:
        """A mapping of ``CREDIT_FIELDS`` for each downloaded image."""
        return [dict(zip(CREDIT_FIELDS, row, strict=True)) for _, row in sorted(self._credits.items())]

    def write_failures(self, failures: Sequence[Failure]) -> None:
        """Writes ``failed.csv``. Without failures, the file of an earlier run is removed."""
        with self.writing(FAILED) as path:
            if failures:
                rows = [(failure.label, failure.url, failure.reason) for failure in failures]
                write_csv(path, FAILED_FIELDS, rows)
            else:
                path.unlink(missing_ok=True)

    def refuse(self, key: str, reason: str) -> None:
        """Stores a refused download until the run is complete."""
        with self.writing(f"{STATE}/refused.csv") as path, path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow((key, reason))

    def refused(self) -> dict[str, str]:
        """Reasons by key, for downloads refused in an interrupted run."""
        path = self.state / "refused.csv"
        if not path.is_file():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            return {row[0]: row[1] for row in csv.reader(file) if len(row) == 2}

    def _read_credits(self) -> dict[str, tuple[str, ...]]:
        rows = _own_rows(self.root / ATTRIBUTION, CREDIT_FIELDS)
        found = (tuple(row.get(name) or "" for name in CREDIT_FIELDS) for row in rows)
        return {row[0]: row for row in found if row[0]}

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yields the path of a file in the folder, and converts write errors to a ``DataError``."""
        path = self.root / name
        try:
            yield path
        except OSError as error:
            raise unwritable(path, error) from error
        except TrainingError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            raise unwritable(path, error.__cause__) from error


def _own_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a file that every run rewrites. Raises ``UsageError`` if the file was not written by zoo."""
    rows = read_csv(path) if path.is_file() else []
    if rows and set(rows[0]) != set(columns):
        raise UsageError(
            f"{path} was not written by zoo: its columns are not {', '.join(columns)}.",
            "Move it, or choose another --out.",
        )
    return rows


def _names(folder: Path, *, folders: bool) -> list[str]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not entry.name.startswith(".") and entry.is_dir() == folders]
    return sorted(entry.name for entry in entries if folders or Path(entry.name).suffix.lower() in _SUFFIXES)


def write_record(folder: ImageFolder, command: str, notes: Sequence[str]) -> None:
    """Writes the sources and licences of all images that were downloaded into the folder, now or earlier.

    Args:
        folder: The folder of the images.
        command: The command line.
        notes: Sentences for the reader.
    """
    credits = folder.credits
    licences = Counter(credit["licence"] or "not known" for credit in credits)
    part = CardPart(
        key="fetch",
        title="Sources of the images",
        command=command,
        sources=Counter(credit["source"] or "not known" for credit in credits).most_common(),
        counts={"": Counter(credit["label"] for credit in credits)},
        licences=licences if set(licences) != {"not known"} else {},
        notes=[*notes, "Source, licence and author of each image: attribution.csv."],
    )
    with folder.writing(CARD_NAME):
        write_card(folder.root, part)
