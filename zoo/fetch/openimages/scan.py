"""Finds a few rows in gigabytes of CSV, with only a few megabytes in memory at a time."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from zoo.fetch.openimages.files import require_columns

_BLOCK_BYTES = 2**23


def lines_with(path: Path, texts: Collection[str], columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows that contain one of several texts. Texts must not contain quotes, and rows must not contain line breaks.

    Args:
        path: A CSV file with a header.
        texts: A row is returned if one of these occurs anywhere in it.
        columns: The columns to return. The file must have them.
    """
    needles = [text.encode() for text in texts]
    with path.open("rb") as file:
        header = _cells(file.readline().removeprefix(b"\xef\xbb\xbf"))
        require_columns(path, header, columns)
        rest = b""
        while block := file.read(_BLOCK_BYTES):
            block = rest + block
            end = block.rfind(b"\n") + 1
            rest = block[end:]
            yield from (_row(header, line) for line in _holding(block[:end], needles))
        yield from (_row(header, line) for line in _holding(rest, needles))


def _holding(block: bytes, needles: list[bytes]) -> list[bytes]:
    """Searches with ``find``, which takes a second per gigabyte. Splitting into lines would take a minute."""
    starts = set()
    for needle in needles:
        at = block.find(needle)
        while at >= 0:
            starts.add(block.rfind(b"\n", 0, at) + 1)
            at = block.find(b"\n", at)
            at = block.find(needle, at) if at >= 0 else -1
    return [block[start : _line_end(block, start)] for start in sorted(starts)]


def _line_end(block: bytes, start: int) -> int:
    end = block.find(b"\n", start)
    return len(block) if end < 0 else end


def offsets_of(path: Path, keys: Collection[bytes], columns: tuple[str, ...]) -> dict[bytes, int]:
    """The offset of the line that starts with each key, for those keys that exist.

    Args:
        path: A CSV file with a header and the key in the first column.
        keys: The keys to search.
        columns: The columns that the file must have.
    """
    found = {}
    with path.open("rb") as file:
        offset = len(first := file.readline())
        require_columns(path, _cells(first.removeprefix(b"\xef\xbb\xbf")), columns)
        for line in file:
            key = line[: line.find(b",")]
            if key in keys:
                found[key] = offset
            offset += len(line)
    return found


def rows_at(path: Path, offsets: Mapping[bytes, int]) -> Iterator[dict[str, str]]:
    """The rows at given offsets. Cells may contain line breaks."""
    with path.open("rb") as file:
        header = _cells(file.readline().removeprefix(b"\xef\xbb\xbf"))
        for offset in sorted(offsets.values()):
            file.seek(offset)
            line = file.readline()
            while line.count(b'"') % 2 and (more := file.readline()):
                line += more
            yield _row(header, line)


def _row(header: list[str], line: bytes) -> dict[str, str]:
    """A value for every column of the header. Missing cells of a short line are empty."""
    cells = _cells(line)
    return dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=False))


def _cells(line: bytes) -> list[str]:
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    return next(csv.reader([text]), [])
