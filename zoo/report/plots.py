"""Charts of a run: numbers of images, training curves, confusion matrix and calibration.

Each function takes plain data and a destination, and writes one PNG. No function uses pyplot or changes global state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from zoo.evaluation.intervals import wilson_interval
from zoo.report.style import Target, drawing, percent_ticks, plain
from zoo.report.text import percent, shorten, thousands
from zoo.report.theme import LIGHT, Theme
from zoo.run_folder.info import Bin

#: Maximum number of classes whose names are shown.
_NAMED_BARS = 40
#: Width of a page on a phone.
_PHONE_IN = 3.6
_CURVES = {"accuracy": "Accuracy", "loss": "Loss"}


def plot_class_counts(counts: Mapping[str, Mapping[str, int]], target: Target, *, theme: Theme = LIGHT) -> None:
    """Images per class and split: a stacked bar per class, or the sorted sizes if there are very many classes.

    Args:
        counts: ``{split: {label: images}}``, with the splits in the order of stacking.
        target: Destination of the PNG.
        theme: Colours.
    """
    labels = list(dict.fromkeys(label for split in counts.values() for label in split))
    named = len(labels) <= _NAMED_BARS
    height = 1.05 + 0.34 * len(labels) if named else 3.2
    with drawing(target, 4.0, max(1.9, height), theme) as figure:
        axes = figure.subplots()
        (_named_bars if named else _ordered_sizes)(axes, labels, counts, theme)
        figure.legend(loc="outside upper left", ncols=len(counts), borderpad=0.2, columnspacing=1.4)


def _named_bars(axes: Axes, labels: Sequence[str], counts: Mapping[str, Mapping[str, int]], theme: Theme) -> None:
    left = np.zeros(len(labels))
    for split, of_class in counts.items():
        sizes = np.array([of_class.get(label, 0) for label in labels], float)
        axes.barh(range(len(labels)), sizes, left=left, height=0.66, color=theme.split(split), label=_name(split))
        left += sizes
    widest = max(left.max(initial=0.0), 1.0)
    for row, total in enumerate(left):
        axes.text(total + widest * 0.015, row, thousands(int(total)), va="center", fontsize=8.5, color=theme.text)
    axes.set_yticks(range(len(labels)), [shorten(label, 22) for label in labels], color=theme.text, fontsize=9)
    axes.set_ylim(len(labels) - 0.45, -0.55)
    axes.set_xlim(0, widest * 1.1)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.set_xlabel("images")
    plain(axes, "x")


def _ordered_sizes(axes: Axes, labels: Sequence[str], counts: Mapping[str, Mapping[str, int]], theme: Theme) -> None:
    table = np.array([[of_class.get(label, 0) for label in labels] for of_class in counts.values()], float)
    totals = table.sum(axis=0)
    order = np.argsort(-totals, kind="stable")
    ranks = np.arange(1, len(labels) + 1)
    axes.stackplot(
        ranks,
        table[:, order],
        colors=[theme.split(split) for split in counts],
        labels=[_name(split) for split in counts],
        step="mid",
        linewidth=0,
    )
    axes.set_xlim(0.5, len(labels) + 0.5)
    axes.set_ylim(0, max(totals.max(), 1) * 1.08)
    axes.set_xlabel(f"{len(labels)} classes, the largest first (median {np.median(totals):g} images)")
    axes.set_ylabel("images")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    plain(axes, "y")


def plot_curve(
    history: Mapping[str, Sequence[float]],
    panel: str,
    target: Target,
    *,
    best_epoch: int | None = None,
    theme: Theme = LIGHT,
) -> None:
    """Training and validation over the epochs, with a mark at the best epoch.

    Args:
        history: Columns of ``history.csv``.
        panel: ``accuracy`` or ``loss``: this column and, if it exists, the column with the prefix ``val_``.
        target: Destination of the PNG.
        best_epoch: The epoch whose weights were kept, starting with 1. 0: no epoch is marked. ``None``: the epoch with
            the lowest ``val_loss``.
        theme: Colours.
    """
    with drawing(target, 4.0, 3.0, theme) as figure:
        best = _lowest(history.get("val_loss", ())) if best_epoch is None else best_epoch
        _curve(figure.subplots(), history, panel, best, theme)


def _curve(axes: Axes, history: Mapping[str, Sequence[float]], panel: str, best: int | None, theme: Theme) -> None:
    given = history.get("epoch", ())
    epochs = np.asarray(given if len(given) else range(1, len(history.get(panel, ())) + 1), float)
    for name, label, colour in ((panel, "training", theme.muted), (f"val_{panel}", "validation", theme.accent)):
        values = np.asarray(history.get(name, ()), float)
        if values.size:
            values = np.where(np.isfinite(values), values, np.nan)
            axes.plot(epochs, values, color=colour, label=label, marker="o" if len(epochs) < 3 else "", markersize=4)
            if best is not None and name != panel and best in epochs:
                value = float(values[int(np.flatnonzero(epochs == best)[0])])
                shown = percent(value) if panel == "accuracy" else f"{value:.3f}"
                axes.axvline(best, color=theme.wrong, linewidth=1, linestyle=(0, (3, 3)), zorder=0.5)
                note = f"best epoch {best}: {shown}"
                axes.plot(best, value, "o", color=theme.wrong, markersize=5.5, label=note, zorder=3)
    axes.set_title(_CURVES.get(panel, panel))
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
    if panel == "accuracy":
        axes.yaxis.set_major_formatter(percent_ticks())
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.margins(x=0.02, y=0.08)
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 0.9, epochs[0] + 0.9)
    plain(axes, "y")
    if axes.get_legend_handles_labels()[0]:
        box: dict[str, Any] = {"frameon": True, "facecolor": theme.background, "edgecolor": "none", "framealpha": 0.85}
        axes.legend(loc="lower right" if panel == "accuracy" else "upper right", **box)


def plot_confusion(
    matrix: Sequence[Sequence[int]],
    labels: Sequence[str],
    target: Target,
    *,
    theme: Theme = LIGHT,
    narrow: bool = False,
) -> None:
    """The confusion matrix: counts as figures, shading by share of the row (the true class), wrong predictions in
    orange.

    ``narrow`` draws it for a phone. Figures are omitted for more than 25 classes and names for more than 50, because
    they would be too small. For more than 250 classes, each dot shows the largest value of a block of neighbouring
    classes.
    """
    counts = np.asarray(matrix, float)
    k = len(labels)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = 2.6 + 0.42 * min(k, 12) if k <= 12 else 7.0
    width, height = (_PHONE_IN, _PHONE_IN) if narrow else (max(4.2, side), max(3.4, side * 0.92))
    with drawing(target, width, height, theme) as figure:
        axes = figure.subplots()
        # A single mistake among hundreds of cells must still be visible.
        shown = shares if k <= 25 else _blocks(np.sqrt(shares), ceil(k / 250))
        edge = k - 0.5
        right = np.eye(len(shown), dtype=bool)
        for others, cmap in ((~right, theme.shades), (right, theme.wrong_shades)):
            cells = np.ma.masked_where(others, shown)
            axes.imshow(cells, cmap=cmap, vmin=0, vmax=1, interpolation="nearest", extent=(-0.5, edge, edge, -0.5))
        _name_classes(axes, labels, theme, narrow)
        if k <= (12 if narrow else 25):
            _write_counts(axes, counts, shares, theme, narrow)
        if k <= 25:
            edges = np.arange(k + 1) - 0.5
            axes.hlines(edges, -0.5, k - 0.5, color=theme.background, linewidth=2 if k <= 12 else 1)
            axes.vlines(edges, -0.5, k - 0.5, color=theme.background, linewidth=2 if k <= 12 else 1)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        plain(axes)


def _blocks(shares: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """The largest value of each block of ``side`` x ``side`` cells."""
    short = -len(shares) % side
    padded = np.pad(shares, (0, short))
    count = len(padded) // side
    largest: npt.NDArray[np.float64] = padded.reshape(count, side, count, side).max(axis=(1, 3))
    return largest


def _name_classes(axes: Axes, labels: Sequence[str], theme: Theme, narrow: bool) -> None:
    k = len(labels)
    if k > (16 if narrow else 50):
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        return
    size = 9.0 if k <= 12 else max(5.0, 9.5 - 0.1 * k)
    names = [shorten(label, 9 if narrow else 18) for label in labels]
    flat = k <= 3 and max(map(len, names)) <= 12
    turn: dict[str, Any] = {} if flat else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(k), names, color=theme.text, fontsize=size, **turn)
    axes.set_yticks(range(k), names, color=theme.text, fontsize=size)


def _write_counts(
    axes: Axes, counts: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], theme: Theme, narrow: bool
) -> None:
    k = len(counts)
    size = 13.0 if k <= 3 else 10.0 if k <= (7 if narrow else 12) else 7.5 if narrow else max(5.0, 10.5 - 0.2 * k)
    for (row, column), count in np.ndenumerate(counts):
        if not count and k > 3:
            continue
        colour = theme.accent_text if shares[row, column] > 0.5 else theme.text
        where: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
        lift = 0.1 if k <= 3 else 0.0
        axes.text(column, row - lift, thousands(int(count)), fontsize=size, fontweight="bold", **where)
        if k <= 3 and counts[row].sum():
            axes.text(column, row + 0.16, percent(float(shares[row, column])), fontsize=8.5, **where)


def plot_reliability(bins: Sequence[Bin], error: float, target: Target, *, theme: Theme = LIGHT) -> None:
    """The reliability diagram: accuracy by confidence, and below it the number of images by confidence.

    Args:
        bins: ``calibration_bins`` of ``metrics.json``. Bars are the accuracy in a bin with its 95 % Wilson interval.
        error: Expected calibration error, 0 to 1.
        target: Destination of the PNG.
        theme: Colours.
    """
    with drawing(target, 4.0, 4.0, theme) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        _accuracy_by_confidence(upper, bins, theme)
        figure.suptitle(f"Calibration error {percent(error)}", x=0.02, ha="left", fontsize=10.5, fontweight="bold")
        figure.legend(loc="outside lower left", ncols=3, columnspacing=1.2)
        middles = [(item.low + item.high) / 2 for item in bins]
        width = (bins[0].high - bins[0].low) * 0.86
        lower.bar(middles, [item.count for item in bins], width=width, color=theme.muted)
        lower.set_ylabel("images")
        lower.set_xlabel("confidence: probability of the predicted class")
        lower.yaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
        lower.xaxis.set_major_formatter(percent_ticks())
        lower.set_xlim(0, 1)
        plain(lower, "y")
        figure.align_ylabels()


def _accuracy_by_confidence(axes: Axes, bins: Sequence[Bin], theme: Theme) -> None:
    filled = [item for item in bins if item.count]
    middles = [(item.low + item.high) / 2 for item in filled]
    accuracies = [item.accuracy or 0.0 for item in filled]
    bounds = [wilson_interval(round((item.accuracy or 0.0) * item.count), item.count) for item in filled]
    reach = [
        [max(0.0, accuracy - low) for accuracy, (low, _) in zip(accuracies, bounds, strict=True)],
        [max(0.0, high - accuracy) for accuracy, (_, high) in zip(accuracies, bounds, strict=True)],
    ]
    width = (bins[0].high - bins[0].low) * 0.86
    axes.bar(middles, accuracies, width=width, color=theme.accent, label="accuracy")
    axes.errorbar(middles, accuracies, reach, fmt="none", ecolor=theme.text, elinewidth=1, label="95 % interval")
    axes.plot([0, 1], [0, 1], color=theme.wrong, linewidth=1.3, linestyle=(0, (4, 3)), label="perfectly calibrated")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("accuracy")
    axes.yaxis.set_major_formatter(percent_ticks())
    plain(axes, "y")


def _lowest(values: Sequence[float]) -> int | None:
    finite = [(value, place) for place, value in enumerate(values, start=1) if isfinite(value)]
    return min(finite)[1] if finite else None


def _name(split: str) -> str:
    return {"train": "training", "val": "validation"}.get(split, split)
