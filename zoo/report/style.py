"""The common style of all charts: fonts for all scripts, and saving without changing global state."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from matplotlib import font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from zoo.atomic import make_folder, whole_file
from zoo.report.text import percent
from zoo.report.theme import DARK, Theme, recolour

#: Pixels per inch of a chart. The page shows it at 96 CSS pixels per inch, so that it is sharp on dense displays.
DPI = 160
CSS_DPI = 96
#: Pixels per inch of a grid of photographs. It is lower, because such PNG files are large.
PHOTO_DPI = 110


@dataclass(frozen=True)
class BothThemes:
    """A picture in memory, drawn in the colours of ``LIGHT``, and again in those of ``DARK``."""

    light: io.BytesIO = field(default_factory=io.BytesIO)
    dark: io.BytesIO = field(default_factory=io.BytesIO)


#: Destination of a picture: a file, which is written atomically, or memory.
Target = Path | io.BytesIO | BothThemes


# Fonts for scripts that DejaVu Sans, the font of matplotlib, does not contain. Those that are installed are used.
_FALLBACK_FONTS = (
    *(
        "Noto Sans",
        "Noto Sans CJK SC",
        "Noto Sans CJK JP",
        "Noto Sans Arabic",
        "Noto Sans Devanagari",
        "Noto Sans Thai",
    ),
    *("Noto Sans Hebrew", "Noto Sans Bengali", "Noto Sans Tamil", "WenQuanYi Micro Hei", "Droid Sans Fallback"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "Arial Unicode MS"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Nirmala UI", "Segoe UI", "Segoe UI Symbol"),
)


@contextmanager
def drawing(
    target: Target, width_in: float, height_in: float, theme: Theme, *, arranged: bool = True
) -> Iterator[Figure]:
    """Yields an empty figure in the theme's style, and writes it as PNG when the block ends without an error.

    ``arranged`` fits axes and labels into the figure. Otherwise, axes keep their positions, as needed for photographs.
    """
    with rc_context(_settings(theme)):
        dpi = DPI if arranged else PHOTO_DPI
        figure = Figure(figsize=(width_in, height_in), dpi=dpi, layout="constrained" if arranged else None)
        yield figure
        with warnings.catch_warnings():
            # Characters without a font are shown as boxes. Warnings would not help.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            warnings.filterwarnings("ignore", message="constrained_layout not applied")
            _save(figure, target, theme)


def percent_ticks(digits: int = 0) -> FuncFormatter:
    """Ticks for shares, such as ``80 %``. There are none below 0 and above 1."""
    return FuncFormatter(lambda share, place: percent(share, digits) if -_TICK <= share <= 1 + _TICK else "")


#: Tolerance for the rounding errors of matplotlib's ticks.
_TICK = 1e-9


def plain(axes: Axes, grid: str | None = None) -> None:
    """Removes the frame. ``grid`` is the axis whose grid lines are drawn, ``x`` or ``y``. ``None``: no grid lines."""
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0)
    axes.set_axisbelow(True)
    if grid in ("x", "y"):
        axes.grid(visible=True, axis="x" if grid == "x" else "y")


def _save(figure: Figure, target: Target, theme: Theme) -> None:
    layout = figure.get_layout_engine()
    if layout:
        # Otherwise, savefig would draw everything again to complete the layout.
        layout.execute(figure)
        figure.set_layout_engine(None)
    if isinstance(target, BothThemes):
        _write(figure, target.light)
        # Creating and arranging a figure takes most of the time, so it is done once for both themes.
        recolour(figure, theme, DARK)
        _write(figure, target.dark)
        return
    if isinstance(target, io.BytesIO):
        _write(figure, target)
        return
    make_folder(target.parent)
    with whole_file(target) as aside:
        _write(figure, aside)


def _write(figure: Figure, target: Path | io.BytesIO) -> None:
    # Without the version of matplotlib, so that the same figures give the same bytes.
    figure.savefig(target, format="png", metadata={"Software": None}, facecolor=figure.get_facecolor())


@cache
def _families() -> tuple[str, ...]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ("DejaVu Sans", *(name for name in _FALLBACK_FONTS if name in installed))


def _settings(theme: Theme) -> dict[Any, Any]:
    return {
        "text.parse_math": False,  # a dollar sign in a class name does not start a formula
        "text.usetex": False,
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
        "font.family": list(_families()),
        "font.size": 9.5,
        "figure.constrained_layout.w_pad": 0.11,
        "figure.constrained_layout.h_pad": 0.11,
        "text.color": theme.text,
        "figure.facecolor": theme.background,
        "savefig.facecolor": theme.background,
        "savefig.dpi": "figure",
        "savefig.bbox": None,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.line,
        "axes.labelcolor": theme.muted,
        "axes.labelsize": 9,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlecolor": theme.text,
        "axes.titlepad": 10,
        "axes.grid": False,
        "grid.color": theme.line,
        "grid.linewidth": 0.8,
        "xtick.color": theme.line,
        "ytick.color": theme.line,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "lines.linewidth": 1.9,
        "lines.solid_capstyle": "round",
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.handlelength": 1.4,
        "legend.labelcolor": theme.text,
    }
