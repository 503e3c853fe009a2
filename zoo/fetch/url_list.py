"""The CSV file of URLs and labels for ``zoo data fetch urls``."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from zoo.data.source import CSV_HINT
from zoo.errors import DataError, UsageError
from zoo.fetch.addresses import check_url
from zoo.fetch.download import Wanted
from zoo.fetch.errors import RefusedError
from zoo.fetch.folder import Credit, Failure
from zoo.fetch.names import Names, safe_name, short_digest
from zoo.text_files import decode_csv

_REQUIRED = ("url", "label")
_DIGESTS = {"md5": 32, "sha256": 64}


@dataclass(frozen=True)
class UrlList:
    """The content of a list.

    Args:
        wanted: Rows that can be downloaded, in order.
        failures: Invalid rows, which cannot be downloaded.
        notes: Sentences that the user should read.
    """

    wanted: list[Wanted]
    failures: list[Failure]
    notes: list[str]


def read_url_list(path: Path, folders: Names) -> UrlList:
    """Reads the columns ``url,label`` and optionally ``md5``, ``sha256``, ``licence``, ``author``, ``page``, ``title``.

    Args:
        path: The CSV file.
        folders: Determines the folder of each class.

    Raises:
        UsageError: The file does not exist.
        DataError: The file is not CSV, lacks a column, or lists no image.
    """
    found = UrlList([], [], [])
    labels: dict[str, str] = {}  # label by URL
    for line, row in _rows(path):
        url, label = row.get("url", ""), row.get("label", "")
        try:
            if not url or not label:
                raise RefusedError(f"line {line} has no {'label' if url else 'url'}")
            check_url(url)
            if url in labels:
                if labels[url] != label:
                    raise RefusedError(f"also listed in line {line} with another label; '{labels[url]}' is used")
                continue
            md5, sha256 = _digest("md5", row), _digest("sha256", row)
            folder = folders.name(label)
        except RefusedError as error:
            found.failures.append(Failure(url, label, error.reason))
            continue
        labels[url] = label
        found.wanted.append(
            Wanted(url=url, folder=folder, stem=_stem(url), credit=_credit(path.name, url, row), md5=md5, sha256=sha256)
        )
    if not found.wanted and not found.failures:
        raise DataError(f"'{path}' lists no image.", "After the header, each line must be a URL and a label.")
    by_folder: dict[str, set[str]] = {}
    for label in labels.values():
        by_folder.setdefault(folders.name(label), set()).add(label)
    for folder, names in by_folder.items():
        if len(names) > 1:
            found.notes.append(f"{' and '.join(map(repr, sorted(names)))} are treated as one class, '{folder}'.")
    return found


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row, by the lower-case column name."""
    try:
        text = decode_csv(path.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"The file '{path}' does not exist.") from None
    except OSError as error:
        raise UsageError(f"Could not read '{path}': {error.strerror}.") from error
    except ValueError as error:
        raise DataError(f"Could not read '{path}': {error}.", CSV_HINT) from None
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in _REQUIRED if name not in columns]
        if missing:
            raise DataError(
                f"'{path}' lacks the column(s) {', '.join(missing)}. Found: {', '.join(columns) or 'none'}.",
                "The first line must be url,label. More columns may follow.",
            )
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, {name: cell.strip() for name, cell in zip(columns, cells, strict=False)}
    except csv.Error as error:
        raise DataError(f"'{path}', line {reader.line_num}: {error}.") from error


def _digest(name: str, row: Mapping[str, str]) -> str:
    text = row.get(name, "").lower()
    if text and not re.fullmatch(rf"[0-9a-f]{{{_DIGESTS[name]}}}", text):
        raise RefusedError(f"'{text}' is not a {name} in hexadecimal digits")
    return text


def _credit(source: str, url: str, row: Mapping[str, str]) -> Credit:
    return Credit(
        source=source,
        url=url,
        page=row.get("page", ""),
        licence=row.get("licence", "") or row.get("license", ""),
        author=row.get("author", ""),
        author_page=row.get("author_page", ""),
        title=row.get("title", ""),
    )


def _stem(url: str) -> str:
    """The file name of the URL and digits that are unique to the URL. It depends on nothing else."""
    name = PurePosixPath(unquote(urlsplit(url).path)).stem
    try:
        readable = safe_name(name)[:60].rstrip(". ")
    except RefusedError:
        readable = "image"
    return f"{readable}-{short_digest(url)}"
