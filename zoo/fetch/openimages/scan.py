"""Finds the few lines that matter in gigabytes of CSV; a few megabytes of them are in memory at a time."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from zoo.fetch.openimages.files import require_columns

_BLOCK_BYTES = 2**23


def lines_with(path: Path, texts: Collection[str], columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows that hold one of some texts; texts hold no quote, rows no line end.

    Args:
        path: A CSV file with a header.
        texts: A row is given when one of these stands anywhere in it.
        columns: Those to give; the file must have them.
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
    """``find`` looks at a gigabyte in a second; splitting that into lines would take a minute."""
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
    """Key to the offset of the line that begins with it, of those keys that are there.

    Args:
        path: A CSV file with a header, the key in its first column.
        keys: To look for.
        columns: That the file must have.
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
    """The rows at some offsets; cells may hold line ends."""
    with path.open("rb") as file:
        header = _cells(file.readline().removeprefix(b"\xef\xbb\xbf"))
        for offset in sorted(offsets.values()):
            file.seek(offset)
            line = file.readline()
            while line.count(b'"') % 2 and (more := file.readline()):
                line += more
            yield _row(header, line)


def _row(header: list[str], line: bytes) -> dict[str, str]:
    """Every column of the header; what a short line lacks is empty."""
    cells = _cells(line)
    return dict(zip(header, cells + [""] * (len(header) - len(cells)), strict=False))


def _cells(line: bytes) -> list[str]:
    text = line.decode("utf-8", "replace").rstrip("\r\n")
    return next(csv.reader([text]), [])
