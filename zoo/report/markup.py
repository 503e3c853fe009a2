"""Pieces of HTML. Everything that comes from outside goes through ``esc``, and nothing else writes text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.atomic import write_bytes
from zoo.report.grids import Picture
from zoo.report.pictures import data_uri, thumbnail
from zoo.report.style import CSS_DPI, DPI, BothThemes, Target
from zoo.report.theme import LIGHT, Theme
from zoo.terminal import readable


def esc(text: object) -> str:
    """Any text for use between tags or in a quoted attribute; always valid UTF-8."""
    return html.escape(readable(text), quote=True)


def name(text: object) -> str:
    """A name in running text, kept apart from the direction of what stands round it; a line ends at its separators."""
    return f"<bdi>{re.sub(r'(?<=[/_.-])(?=[^/_.-])', '<wbr>', esc(text))}</bdi>"


def section(anchor: str, title: str, *parts: str) -> str:
    """A section with its heading; nothing where it has no content."""
    body = "\n".join(part for part in parts if part)
    return f'<section id="{anchor}">\n<h2>{title}</h2>\n{body}\n</section>' if body else ""


@dataclass(frozen=True)
class Column:
    """A table's column: its heading, what it means, whether it holds figures, and their unit."""

    title: str
    meaning: str = ""
    figures: bool = True
    unit: str = ""


def table(
    caption: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], quiet: bool = False, dense: bool = False
) -> str:
    """A table that scrolls inside its own box; cells are HTML, the first of a row is its heading.

    ``quiet`` keeps the caption for screen readers, where the section's heading says the same. ``dense`` is for a dozen
    columns: smaller, all rows at once, and the page becomes wider where the window is.
    """
    heads = "".join(
        f'<th scope="col"{_figures(column)} title="{esc(column.meaning)}">{esc(column.title)}{_unit(column)}</th>'
        for column in columns
    )
    lines = "\n".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td{_figures(column)}>{cell}</td>" for column, cell in zip(columns[1:], row[1:], strict=True))
        + "</tr>"
        for row in rows
    )
    title = f'<caption class="quiet">{esc(caption)}</caption>' if quiet else f"<caption>{esc(caption)}</caption>"
    kind, box = (' class="dense"', "scroll whole") if dense else ("", "scroll")
    return (
        f'<div class="{box}" role="region" tabindex="0" aria-label="{esc(caption)}"><table{kind}>{title}'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody></table></div>"
    )


def _figures(column: Column) -> str:
    return ' class="figures"' if column.figures else ""


def _unit(column: Column) -> str:
    return f' <span class="unit">{esc(column.unit)}</span>' if column.unit else ""


def beside(left: str, right: str, fits: bool = True) -> str:
    """Two pieces next to each other where the window is wide enough, else the second below."""
    return f'<div class="pair">{left}\n{right}</div>' if fits and right else f"{left}\n{right}"


def facts(caption: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Two columns of names and values, both HTML."""
    rows = "\n".join(f'<tr><th scope="row">{key}</th><td>{value}</td></tr>' for key, value in pairs)
    return (
        f'<div class="scroll whole" role="region" tabindex="0" aria-label="{esc(caption)}">'
        f'<table class="facts"><caption>{esc(caption)}</caption><tbody>\n{rows}\n</tbody></table></div>'
    )


def bar(share: float | None, text: str) -> str:
    """A figure with its size as a bar behind it."""
    return f'<span class="bar" style="--share:{0.0 if share is None else share:.4f}">{text}</span>'


def key_figures(shown: Iterable[tuple[str, str, str]]) -> str:
    """Tiles with the figures that everybody looks for: title, value and note of each, HTML."""
    items = "\n".join(
        f"<div><dt>{title}</dt><dd>{value}</dd><dd class='note'>{note}</dd></div>" for title, value, note in shown
    )
    return f'<dl class="key-figures">\n{items}\n</dl>'


def tile(picture: Picture, alt: str, *lines: str, beside: tuple[Picture, str] | None = None, anchor: str = "") -> str:
    """A photograph with lines of HTML below it; a box that says so where the file is gone.

    ``beside`` is a second picture with its text, next to it; ``anchor`` is what links to it name.
    """
    image = _image(picture, alt)
    if beside is not None:
        image = f'<div class="both">{image}{_image(*beside)}</div>'
    caption = f"<figcaption>{'<br>'.join(lines)}</figcaption>" if lines else ""
    place = f' id="{anchor}"' if anchor else ""
    return f"<figure{place}>{image}{caption}</figure>"


def _image(picture: Picture, alt: str) -> str:
    if picture is None:
        return f'<div class="missing" role="img" aria-label="{esc(alt)} (picture missing)">picture missing</div>'
    uri, width, height = thumbnail(picture)
    small = ' class="pixels"' if max(width, height) <= 64 else ""
    return f'<img src="{uri}" width="{width}" height="{height}"{small} alt="{esc(alt)}">'


def tiles(figures: Iterable[str], kind: str = "") -> str:
    return f'<div class="tiles {kind}">\n' + "\n".join(figures) + "\n</div>"


#: Draws one chart to a target in a theme.
Draw = Callable[[Target, Theme], None]


def chart(draw: Draw, alt: str, caption: str = "", file: Path | None = None, narrow: Draw | None = None) -> str:
    """A chart for light and dark pages.

    Args:
        draw: Draws it.
        alt: What it shows, in words.
        caption: HTML below it.
        file: Where the light one is kept as well.
        narrow: Draws it for a phone, where the other's letters would be too small.
    """
    light, dark = _draw(draw)
    if file:
        write_bytes(file, light)
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure class="chart"><picture>{_phone(narrow) if narrow else ""}'
        f'<source media="(prefers-color-scheme: dark)" srcset="{data_uri(dark)}">'
        f'<img src="{data_uri(light)}" {_size(light)} alt="{esc(alt)}"></picture>{below}</figure>'
    )


def _phone(draw: Draw) -> str:
    light, dark = _draw(draw)
    schemes = ((" and (prefers-color-scheme: dark)", dark), ("", light))
    return "".join(
        f'<source media="(max-width: 40rem){scheme}" srcset="{data_uri(png)}" {_size(png)}>' for scheme, png in schemes
    )


def _size(png: bytes) -> str:
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))  # of the header
    return f'width="{round(width * CSS_DPI / DPI)}" height="{round(height * CSS_DPI / DPI)}"'


def _draw(draw: Draw) -> tuple[bytes, bytes]:
    """The PNG in light and in dark colours."""
    target = BothThemes()
    draw(target, LIGHT)
    return target.light.getvalue(), target.dark.getvalue()


def warnings_section(sentences: Iterable[str]) -> str:
    """Why the model itself may be of no use; nothing without a reason."""
    items = "".join(f'<li class="failed">{esc(sentence)}</li>' for sentence in sentences)
    return section("warnings", "Warnings", f"<ul>{items}</ul>") if items else ""
