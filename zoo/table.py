"""Tables in plain text. In a pipe, each row is one line. On a terminal, the table fits the width of the window.

If a window is too narrow, columns of text are first wrapped at words. Then the least important columns are left out,
and finally each row becomes a short list. Numbers and names are never broken; only a name that is wider than the whole
window is shortened in its middle. This module imports nothing from other packages, so that it can be used on the
device.
"""

from __future__ import annotations

import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from zoo.terminal import readable

_GAP = "  "
#: Minimum width to which a column of text is wrapped.
_NARROWEST = 24
#: Spaces at which a text is wrapped, except those between a number and its unit.
_SPACE = re.compile(r" +(?!(?<=\d )(?:%|(?:[kMG]?B|[kMG]|px|m?s|min|h)\b))")


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        title: Heading of the column.
        kind: ``figure`` is aligned right and never broken; ``name`` and ``text`` are wrapped at words. A word of a
            text, such as a path, is kept whole even if it is wider than the window.
        rank: Columns of rank 0 are always shown. If the window is too narrow, the column with the highest rank is left
            out first.
    """

    title: str
    kind: Literal["figure", "name", "text"] = "figure"
    rank: int = 0


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None = None, indent: str = "") -> str:
    """Formats a table: the headings, if there are any, and one line per row.

    Args:
        columns: The columns. The first one identifies the row.
        rows: The cells. Control characters are escaped.
        width: Width of the window, as returned by ``terminal_width``. ``None``: unlimited.
        indent: Text before every line.

    >>> print(table((Column("run", "name"), Column("accuracy")), [("a", "94.0 %"), ("long", "9.0 %")]))
    run   accuracy
    a       94.0 %
    long     9.0 %
    """
    cells = [[readable(cell) for cell in row] for row in rows]
    layout = Layout(
        columns, [[row[place] for row in cells] for place in range(len(columns))], width and width - len(indent)
    )
    lines = [*layout.heading(), *(line for row in cells for line in layout.row(row)), *layout.footing()]
    return "\n".join(indent + line for line in lines)


class Layout:
    """The layout of a table that is printed row by row.

    Args:
        columns: The columns.
        cells: For each column, cells that determine its width.
        width: Width of the window. ``None``: unlimited.
    """

    def __init__(self, columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int | None) -> None:
        self._columns = columns
        self._window = None if width is None else max(width, 8)
        widest = [max(map(width_of, (column.title, *found))) for column, found in zip(columns, cells, strict=True)]
        self._shown = list(range(len(columns)))
        self._widths = widest
        self._listed = False
        if self._window is None:
            return
        least = [_least(*column, self._window) for column in zip(columns, cells, widest, strict=True)]
        least[0] = min(least[0], self._window // 2)
        while self._room(least) < 0 and (left_out := self._least_important()) is not None:
            self._shown.remove(left_out)
        self._listed = self._room(least) < 0
        self._widths = least
        room = self._room(least)
        for place in sorted(self._shown, key=lambda place: widest[place] - least[place]):
            more = max(0, min(room, widest[place] - least[place]))
            self._widths[place] += more
            room -= more

    def _room(self, widths: Sequence[int]) -> int:
        assert self._window is not None
        return self._window - sum(widths[place] for place in self._shown) - len(_GAP) * (len(self._shown) - 1)

    def _least_important(self) -> int | None:
        place = max(self._shown, key=lambda place: (self._columns[place].rank, place))
        return place if self._columns[place].rank else None

    def heading(self) -> Iterator[str]:
        """The headings, if there are any."""
        titles = [column.title for column in self._columns]
        if any(titles) and not self._listed:
            stacks = {place: self._stack(titles[place], place, heading=True) for place in self._shown}
            tallest = max(map(len, stacks.values()))
            yield from self._lines({place: [""] * (tallest - len(text)) + text for place, text in stacks.items()})

    def row(self, cells: Sequence[str]) -> Iterator[str]:
        """The lines of a row."""
        if self._listed:
            yield from self._list(cells)
            return
        stacks = {place: self._stack(cells[place], place) for place in self._shown}
        if self._window is not None and max(map(width_of, _SPACE.split(cells[0]))) > self._widths[0]:
            yield from wrap(cells[0], self._window)  # on lines of its own
            stacks[0] = [""]
            if not any(map(any, stacks.values())):
                return
        yield from self._lines(stacks)

    def footing(self) -> Iterator[str]:
        """The note on columns that were left out."""
        left_out = [column.title for place, column in enumerate(self._columns) if place not in self._shown]
        if self._window is not None and any(left_out):
            yield from wrap(f"Too narrow for: {', '.join(filter(None, left_out))}.", self._window)

    def _list(self, cells: Sequence[str]) -> Iterator[str]:
        assert self._window is not None
        yield from wrap(cells[0], self._window)
        for place in self._shown[1:]:
            column = self._columns[place]
            if cells[place]:
                text = f"{column.title}: {cells[place]}" if column.title else cells[place]
                for number, line in enumerate(wrap(text, self._window - 4, whole=column.kind == "text")):
                    yield f"{'    ' if number else '  '}{line}"

    def _stack(self, cell: str, place: int, heading: bool = False) -> list[str]:
        kind = self._columns[place].kind
        if self._window is None or (kind == "figure" and not heading):
            return [cell]
        return wrap(cell, self._widths[place], whole=kind == "text", most=self._window)

    def _lines(self, stacks: dict[int, list[str]]) -> Iterator[str]:
        for line in zip_longest(*stacks.values(), fillvalue=""):
            aligned = (
                " " * (self._widths[place] - width_of(text)) + text
                if self._columns[place].kind == "figure"
                else text + " " * (self._widths[place] - width_of(text))
                for place, text in zip(stacks, line, strict=True)
            )
            yield _GAP.join(aligned).rstrip()


def _least(column: Column, cells: Sequence[str], widest: int, window: int) -> int:
    """The minimum width of a column."""
    words = max(map(width_of, _SPACE.split(column.title)))
    if column.kind == "figure":
        return max(words, *map(width_of, cells)) if cells else words
    longest = max((width_of(word) for cell in cells for word in _SPACE.split(cell)), default=0)
    return min(max(words, longest, min(widest, _NARROWEST)), window)


def terminal_width() -> int | None:
    """Number of columns of the terminal. ``None`` if standard output is not a terminal or is closed."""
    return shutil.get_terminal_size().columns if sys.stdout and sys.stdout.isatty() else None


def wrap(text: str, width: int | None, whole: bool = False, most: int = 0) -> list[str]:
    """Wraps a text at words into lines of at most ``width`` columns.

    Args:
        text: The text.
        width: Number of columns. ``None``: unlimited.
        whole: Whether a longer word is kept. Otherwise it is shortened in its middle.
        most: Number of columns above which a word is shortened in any case.

    >>> wrap("94.0 % of the images", 10)
    ['94.0 % of', 'the images']
    """
    if width is None or width_of(text) <= width:
        return [text]
    lines: list[str] = []
    for found in _SPACE.split(text):
        word = found if whole else shorten(found, max(width, most))
        if lines and width_of(lines[-1]) + 1 + width_of(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def prose(sentences: Iterable[str], width: int | None) -> str:
    """Wraps sentences, each starting on a new line, with their indents. Words such as paths are kept whole."""
    lines = []
    for sentence in sentences:
        text = sentence.lstrip(" ")
        indent = sentence[: len(sentence) - len(text)]
        lines += [indent + line for line in wrap(text, width and width - len(indent), whole=True)]
    return "\n".join(lines)


def width_of(text: str) -> int:
    """Number of columns of a text on a terminal: an East Asian character takes two, a combining mark none.

    >>> width_of("橄榄球"), width_of("كُرة")
    (6, 3)
    """
    return len(text) if text.isascii() else sum(map(_width_of_one, text))


def _width_of_one(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """Shortens a text to at most ``width`` columns by leaving out its middle.

    >>> shorten("rugby/a_very_long_file_name_0867.jpg", 20)
    'rugby/a_ve…_0867.jpg'
    """
    if width_of(text) <= width:
        return text
    tail = _cut(text[::-1], (width - 1) // 2)[::-1]
    return _cut(text, width - 1 - width_of(tail)) + "…" + tail


def _cut(text: str, width: int) -> str:
    used = 0
    for place, character in enumerate(text):
        used += width_of(character)
        if used > width:
            return text[:place]
    return text
