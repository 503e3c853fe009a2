"""The colours of pictures, for light and for dark pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from matplotlib.collections import Collection
from matplotlib.colors import LinearSegmentedColormap, to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours. ``train``, ``val`` and ``test`` can be distinguished with any kind of colour vision (Okabe and Ito
    2008)."""

    background: str
    text: str
    muted: str
    line: str
    empty: str
    accent: str
    accent_text: str
    wrong: str
    wrong_least: str
    train: str
    val: str
    test: str

    def split(self, name: str) -> str:
        return {"train": self.train, "val": self.val, "test": self.test}.get(name, self.muted)

    @property
    def shades(self) -> LinearSegmentedColormap:
        """Colour map from ``empty`` (0) to ``accent`` (1)."""
        return LinearSegmentedColormap.from_list("zoo", [self.empty, self.accent])

    @property
    def wrong_shades(self) -> LinearSegmentedColormap:
        """Colour map from ``empty`` (0) to ``wrong`` (1). Even the smallest value above 0 is visible."""
        return LinearSegmentedColormap.from_list("zoo", [(0, self.empty), (0.001, self.wrong_least), (1, self.wrong)])


LIGHT = Theme(
    background="#ffffff",
    text="#1d2733",
    muted="#667381",
    line="#e3e7ec",
    empty="#f1f4f7",
    accent="#0a64a4",
    accent_text="#ffffff",
    wrong="#c2410c",
    wrong_least="#fbe3d6",
    train="#0072b2",
    val="#56b4e9",
    test="#e69f00",
)
DARK = Theme(
    background="#181d24",
    text="#e6ebf1",
    muted="#98a4b1",
    line="#2c343e",
    empty="#222933",
    accent="#5cb3f2",
    accent_text="#0d1218",
    wrong="#ff9a5c",
    wrong_least="#45301f",
    train="#3d9bdc",
    val="#8fd0fa",
    test="#f0b23c",
)


def recolour(figure: Figure, before: Theme, after: Theme) -> None:
    """Replaces the colours of one theme by those of another in a finished figure.

    Args:
        figure: A figure in the colours of ``before``. Other colours are kept.
        before: The current theme.
        after: The new theme.
    """
    of_text, of_shapes = _exchange(before, after, "background"), _exchange(before, after, "accent_text")
    for artist in figure.findobj():
        if isinstance(artist, Text):
            _change(artist.get_color(), artist.set_color, of_text)
        elif isinstance(artist, Line2D):
            _change(artist.get_markerfacecolor(), artist.set_markerfacecolor, of_shapes)
            _change(artist.get_markeredgecolor(), artist.set_markeredgecolor, of_shapes)
            _change(artist.get_color(), artist.set_color, of_shapes)
        elif isinstance(artist, Patch | Collection):
            _change(artist.get_facecolor(), artist.set_facecolor, of_shapes)
            _change(artist.get_edgecolor(), artist.set_edgecolor, of_shapes)
        elif isinstance(artist, AxesImage) and (values := artist.get_array()) is not None and values.ndim == 2:
            wrong = artist.get_cmap() == before.wrong_shades
            artist.set_cmap(after.wrong_shades if wrong else after.shades)


#: New RGB by old RGB.
_Table = dict[tuple[float, ...], tuple[float, ...]]


def _exchange(before: Theme, after: Theme, unused: str) -> _Table:
    """The new colour of each old colour. Two names may have the same colour, so ``unused`` is left out."""
    names = [field.name for field in fields(Theme) if field.name != unused]
    return {to_rgba(getattr(before, name))[:3]: to_rgba(getattr(after, name))[:3] for name in names}


def _change(colour: Any, put: Callable[[Any], object], table: _Table) -> None:
    """Replaces a colour, or an array of colours, if the table contains it."""
    old = to_rgba_array(colour)
    new = np.array([(*table.get(tuple(row[:3].tolist()), row[:3]), row[3]) for row in old], float).reshape(-1, 4)
    if not np.array_equal(new, old):
        put(new if np.ndim(colour) == 2 else tuple(new[0]))
