"""Pages of one file that need no network, no script and no other file, made from the templates in ``templates``."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import jinja2
import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from zoo import __version__, figures
from zoo.atomic import make_folder, write_bytes
from zoo.report import text
from zoo.report.style import CSS_DPI, DPI, BothThemes, Target
from zoo.report.theme import LIGHT, Theme
from zoo.terminal import readable

#: Maximum length of the longest side of a picture on the page, in pixels and in CSS pixels.
THUMBNAIL_PX = 168
_TINY_PX = 64
_JPEG_QUALITY = 80
#: Positions after a separator of names, except between two digits.
_SEPARATED = re.compile(r"(?<=[/_.-])(?!(?<=\d.)\d)(?=[^/_.\s-])")


def write_page(path: Path, template: str, version: str = __version__, **values: object) -> Path:
    """Writes a page. The folder is created if it does not exist.

    Args:
        path: Path of the file.
        template: Name of the template, without its suffixes.
        version: Version of zoo that made the results on the page.
        values: Values for the template. Everything except ``Markup`` is escaped.

    Returns:
        ``path``.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    page = environment().get_template(f"{template}.html.jinja").render(version=version, **values)
    make_folder(path.parent)
    write_bytes(path, page.encode("utf-8"))
    return path


@cache
def environment() -> jinja2.Environment:
    """The templates, with zoo's filters in addition to those of Jinja."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("zoo.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_valid,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["column"] = Column
    made.filters |= {
        "name": name,
        "breakable": breakable,
        "lines": _lines,
        "thumbnail": thumbnail,
        "points": figures.points,
        **{
            each.__name__: each
            for each in (
                text.percent,
                text.number,
                text.thousands,
                text.magnitude,
                text.duration,
                text.plural,
                text.unbroken,
                text.capital,
            )
        },
    }
    return made


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, its meaning, whether it contains figures, and their unit."""

    title: str
    meaning: str = ""
    figures: bool = True
    unit: str = ""


def _valid(value: object) -> object:
    """Escapes control characters and invalid UTF-8 in every value that is not ``Markup``."""
    return value if isinstance(value, Markup) else readable(value)


def name(value: object) -> Markup:
    """A name in a sentence, isolated from the text direction around it. Lines may break at its separators."""
    return Markup("<bdi>{}</bdi>").format(breakable(value))


def breakable(value: object) -> Markup:
    """A sentence in which lines may also break at the separators of names, but not within a number."""
    return Markup(_SEPARATED.sub("<wbr>", escape(readable(value))))


def _lines(value: str) -> Markup:
    """Text with its line breaks."""
    return escape(readable(value, keep="\n"))


@dataclass(frozen=True)
class Thumbnail:
    """A small picture inside the page. The pixels of a tiny one are shown as squares."""

    uri: Markup
    width: int
    height: int

    @property
    def tiny(self) -> bool:
        return max(self.width, self.height) <= _TINY_PX


def thumbnail(picture: npt.NDArray[np.uint8]) -> Thumbnail:
    """A JPEG of at most 168 x 168 pixels, or a PNG of a tiny picture, which JPEG would blur."""
    import cv2

    height, width = picture.shape[:2]
    scale = THUMBNAIL_PX / max(height, width)
    if scale < 1:
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    tiny = max(height, width) <= _TINY_PX
    options = [] if tiny else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, encoded = cv2.imencode(".png" if tiny else ".jpg", np.ascontiguousarray(picture[:, :, ::-1]), options)
    return Thumbnail(_data_uri(encoded.tobytes(), "image/png" if tiny else "image/jpeg"), width, height)


class Draw(Protocol):
    """Draws one chart to a target in a theme."""

    def __call__(self, target: Target, /, *, theme: Theme) -> None: ...


@dataclass(frozen=True)
class Chart:
    """A chart for light and dark pages, and one for a phone, where the text of the first would be too small."""

    light: Markup
    dark: Markup
    width: int
    height: int
    narrow: Chart | None = None


def draw_chart(draw: Draw, file: Path | None = None, narrow: Draw | None = None) -> Chart:
    """Draws a chart for a page.

    Args:
        draw: Draws the chart.
        file: Path at which the light chart is also written.
        narrow: Draws the chart for a phone.
    """
    target = BothThemes()
    draw(target, theme=LIGHT)
    light, dark = target.light.getvalue(), target.dark.getvalue()
    if file:
        write_bytes(file, light)
    width, height = (int.from_bytes(light[start : start + 4], "big") for start in (16, 20))  # in the header of the PNG
    return Chart(
        _data_uri(light),
        _data_uri(dark),
        round(width * CSS_DPI / DPI),
        round(height * CSS_DPI / DPI),
        draw_chart(narrow) if narrow else None,
    )


def _data_uri(data: bytes, media_type: str = "image/png") -> Markup:
    return Markup(f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}")
