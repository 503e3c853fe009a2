"""Files on devices: a plot of accuracy, latency and size, and a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from zoo.atomic import make_folder, write_csv, write_json
from zoo.report.bench_table import Merged, Row
from zoo.report.page import draw_chart, write_page
from zoo.report.style import Target, drawing, percent_ticks, plain
from zoo.report.text import shorten
from zoo.report.theme import LIGHT, Theme

#: Area of a bubble per megabyte, in square points. Bubbles have a minimum size, so that all are visible.
_AREA_A_MB = 26.0
_SMALLEST_AREA = 30.0

_LABEL_FONT = 7.5


def write_devices(found: Merged, folder: Path) -> list[Path]:
    """Writes ``devices.csv``, ``devices.json``, ``devices.html`` and, if accuracies are known, ``devices.png``.

    Args:
        found: The rows.
        folder: Created if it does not exist. Files with these names are replaced.

    Returns:
        Paths of the files.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    make_folder(folder)
    paths = [folder / f"devices.{suffix}" for suffix in ("csv", "json", "html")]
    names = [field.name for field in fields(Row)]
    write_csv(paths[0], names, [[_cell(value) for value in asdict(row).values()] for row in found.rows])
    write_json(paths[1], found.as_dict())
    shown = [row for row in found.rows if row.accuracy is not None]
    picture = folder / "devices.png"
    _write_page(paths[2], found, shown, picture)
    return [*paths, picture] if shown else paths


def plot_devices(rows: Sequence[Row], target: Target, *, theme: Theme = LIGHT, narrow: bool = False) -> None:
    """Plots accuracy over latency. The area of a bubble is the size of the file, and its colour is the device.

    A ring marks the Pareto front of each device: files for which no other file on the device is both at least as
    good in accuracy, latency and size and better in at least one of them. A line joins these files, from the fastest to
    the slowest.

    Args:
        rows: Rows with an accuracy.
        target: Destination of the PNG.
        theme: Colours.
        narrow: Whether the plot is for a phone.
    """
    devices = list(dict.fromkeys(row.device for row in rows))
    colours = dict(zip(devices, cycle(_palette(theme)), strict=False))
    with drawing(target, 3.5 if narrow else 7.6, 4.6 + 0.2 * len(devices), theme) as figure:
        axes = figure.subplots()
        _scales(axes, rows, narrow)
        for device in devices:
            front = sorted(
                (row for row in rows if row.on_front and row.device == device), key=lambda row: row.fastest_ms
            )
            places = [row.fastest_ms for row in front], [_accuracy(row) for row in front]
            axes.plot(*places, color=colours[device], linewidth=1.1, alpha=0.55, zorder=1)
        for row in sorted(rows, key=lambda row: -row.size_bytes):  # small bubbles in front of large ones
            axes.scatter(
                [row.fastest_ms],
                [_accuracy(row)],
                s=_area(row),
                color=colours[row.device],
                alpha=0.75 if row.on_front else 0.3,
                edgecolors=theme.text if row.on_front else "none",
                linewidths=1.3,
                zorder=2,
            )
        _label(axes, rows, theme)
        handles = [
            Line2D([], [], marker="o", linestyle="", color=colours[device], label=shorten(device, 38 if narrow else 60))
            for device in devices
        ]
        ring = Line2D([], [], marker="o", linestyle="", color="none", label="on the Pareto front of its device")
        ring.set_markeredgecolor(theme.text)
        handles.append(ring)
        figure.legend(handles=handles, loc="outside upper left", ncols=1, borderpad=0.2)


def _scales(axes: Axes, rows: Sequence[Row], narrow: bool) -> None:
    latencies, accuracies = [row.fastest_ms for row in rows], [_accuracy(row) for row in rows]
    # The axis is logarithmic, because the latencies of a board and of a workstation differ by a large factor.
    axes.set_xscale("log")
    axes.set_xlim(min(latencies) / 1.6, max(latencies) * 2.2)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if narrow and _decades(latencies) > 2 else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    margin = max((max(accuracies) - min(accuracies)) * 0.25, 0.02)
    axes.set_ylim(max(0.0, min(accuracies) - margin), min(1.0, max(accuracies)) + margin)
    axes.yaxis.set_major_formatter(percent_ticks(0 if margin > 0.02 else 1))
    label = "milliseconds for one image, the model alone,", "on the fastest number of threads"
    axes.set_xlabel(("\n" if narrow else " ").join(label))
    axes.set_ylabel("accuracy of the file on the images of its verification")
    plain(axes, "y")
    models = {row.model for row in rows}
    if len(models) == 1:
        axes.set_title(shorten(models.pop(), 30 if narrow else 60))


def _decades(latencies: Sequence[float]) -> float:
    return math.log10(max(latencies) / min(latencies))


@dataclass(frozen=True)
class _Box:
    """A rectangle in pixels, measured from the lower left corner of the figure."""

    left: float
    bottom: float
    right: float
    top: float

    def touches(self, other: _Box) -> bool:
        beside = self.right < other.left or other.right < self.left
        return not (beside or self.top < other.bottom or other.top < self.bottom)

    def within(self, other: _Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.bottom >= other.bottom
            and self.top <= other.top
        )


def _label(axes: Axes, rows: Sequence[Row], theme: Theme) -> None:
    """Writes names next to the bubbles, without overlaps. A name that had to be moved up or down gets a line to its
    bubble."""
    figure = axes.figure
    figure.canvas.draw()  # positions in pixels are only known after the layout
    point = figure.dpi / 72
    several = len({row.model for row in rows}) > 1
    bubbles = {id(row): _bubble(axes, row, point) for row in rows}
    taken = list(bubbles.values())
    frame = _Box(*axes.bbox.extents)
    for row in sorted(rows, key=lambda row: (-_accuracy(row), row.fastest_ms, row.device)):
        text = f"{shorten(row.model, 28)} {row.format} {row.precision}" if several else f"{row.format} {row.precision}"
        width, height = len(text) * _LABEL_FONT * 0.57 * point, _LABEL_FONT * 1.35 * point
        bubble = bubbles[id(row)]
        places = list(_places_round(bubble, width, height, 3 * point))
        place = next(
            (place for place in places if place.within(frame) and not any(map(place.touches, taken))), places[0]
        )
        taken.append(place)
        x, y = (bubble.left + bubble.right) / 2, (bubble.bottom + bubble.top) / 2
        at = (place.left + place.right) / 2, (place.bottom + place.top) / 2
        axes.annotate(
            text,
            (row.fastest_ms, _accuracy(row)),
            xytext=((at[0] - x) / point, (at[1] - y) / point),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_LABEL_FONT,
            color=theme.text if row.on_front else theme.muted,
            arrowprops=None
            if abs(at[1] - y) < height
            else {"arrowstyle": "-", "color": theme.muted, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
            zorder=3,
        )


def _bubble(axes: Axes, row: Row, point: float) -> _Box:
    x, y = axes.transData.transform((row.fastest_ms, _accuracy(row)))
    radius = (_area(row) / math.pi) ** 0.5 * point
    return _Box(x - radius, y - radius, x + radius, y + radius)


def _places_round(bubble: _Box, width: float, height: float, gap: float) -> Iterator[_Box]:
    """Possible positions of a name: right and left of its bubble, then above and below, at increasing distance."""
    middle, centre = (bubble.bottom + bubble.top) / 2, (bubble.left + bubble.right) / 2
    for step in range(40):
        for side in (1, -1) if step else (1,):
            bottom = middle - height / 2 + side * step * height / 2
            for left in (bubble.right + gap, bubble.left - gap - width, centre - width / 2):
                yield _Box(left, bottom, left + width, bottom + height)


def _area(row: Row) -> float:
    return max(_SMALLEST_AREA, row.size_bytes / 1e6 * _AREA_A_MB)


def _accuracy(row: Row) -> float:
    assert row.accuracy is not None
    return row.accuracy


def _palette(theme: Theme) -> tuple[str, ...]:
    return (theme.train, theme.test, theme.wrong, theme.muted, theme.val)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value


def _write_page(path: Path, found: Merged, shown: Sequence[Row], picture: Path) -> None:
    devices = list(dict.fromkeys(row.device for row in found.rows))
    draw = partial(plot_devices, shown)
    write_page(
        path,
        "devices",
        rows=found.rows,
        notes=found.notes,
        fastest=[min((row for row in found.rows if row.device == device), key=_latency) for device in devices],
        shown=shown,
        together=[row for row in found.rows if row.copies is not None or row.sustained_s is not None],
        chart_of_rows=draw_chart(draw, picture, partial(draw, narrow=True)) if shown else None,
    )


def _latency(row: Row) -> float:
    return row.fastest_ms
