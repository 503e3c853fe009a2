"""Photographs in rows: samples of each class, augmented samples, and wrong predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from zoo.report.style import Target, drawing
from zoo.report.text import percent, shorten
from zoo.report.theme import LIGHT, Theme

#: ``(height, width, 3)`` uint8 RGB, or ``None`` if the file is missing.
Picture = npt.NDArray[np.uint8] | None

MOST_MISTAKES = 24
_MOST_SAMPLES = 60
_TILE_IN = 1.5


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A test image that is predicted wrongly.

    Args:
        file: Name of the file.
        true, predicted: Class names.
        confidence: Probability of the predicted class, 0 to 1.
        picture: The image.
    """

    file: str
    true: str
    predicted: str
    confidence: float
    picture: Picture


@dataclass(frozen=True)
class _Tile:
    picture: Picture
    lines: tuple[str, ...] = ()


def plot_samples(samples: Mapping[str, Sequence[Picture]], target: Target, *, theme: Theme = LIGHT) -> None:
    """Draws a few images of each class with the class name, at most 60 in all.

    Args:
        samples: Pictures by class name.
        target: Destination of the PNG.
        theme: Colours.
    """
    tiles = [_Tile(picture, (label,)) for label, pictures in samples.items() for picture in pictures]
    widest = max((len(pictures) for pictures in samples.values()), default=1)
    even = all(len(pictures) == widest for pictures in samples.values())
    _tiles(tiles[:_MOST_SAMPLES], target, widest if even and 3 <= widest <= 8 else 6, theme)


def plot_augmented(pictures: npt.NDArray[np.generic], target: Target, *, theme: Theme = LIGHT) -> None:
    """Draws augmented training images.

    Args:
        pictures: ``(n, height, width, 3)``, or ``(sources, variants, height, width, 3)`` with one row for each source.
            Values 0..255, of any type.
        target: Destination of the PNG.
        theme: Colours.
    """
    columns = pictures.shape[1] if pictures.ndim == 5 else 6
    _tiles([_Tile(picture) for picture in as_pictures(pictures)[:_MOST_SAMPLES]], target, columns, theme)


def as_pictures(pictures: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Converts pictures ``(..., height, width, 3)`` of any type, 0..255, to uint8 ``(n, height, width, 3)``."""
    if pictures.ndim < 4 or pictures.shape[-1] != 3:
        raise ValueError(f"Expected pictures of shape (n, height, width, 3). Received: {pictures.shape}.")
    values = np.nan_to_num(np.asarray(pictures, np.float32))
    return np.clip(np.rint(values), 0, 255).astype(np.uint8).reshape(-1, *pictures.shape[-3:])


def plot_mistakes(mistakes: Sequence[Mistake], target: Target, *, theme: Theme = LIGHT) -> None:
    """Draws the wrong predictions, the most confident first, at most 24, with classes, confidence and file name."""
    worst = sorted(mistakes, key=lambda mistake: -mistake.confidence)[:MOST_MISTAKES]
    tiles = [
        _Tile(
            mistake.picture,
            (
                f"{mistake.predicted} ({percent(mistake.confidence, 0)})",
                f"is {mistake.true}",
                mistake.file.rsplit("/", 1)[-1],
            ),
        )
        for mistake in worst
    ]
    _tiles(tiles, target, 6, theme)


def _tiles(tiles: Sequence[_Tile], target: Target, columns: int, theme: Theme) -> None:
    """Draws all tiles into one axes, in units of the side of a tile, because one axes per tile would take seconds."""
    lines = max((len(tile.lines) for tile in tiles), default=0)
    columns = max(1, min(columns, len(tiles)))
    rows = max(1, ceil(len(tiles) / columns))
    row_height = 1.06 + 0.125 * lines
    width, height = columns * 1.06 - 0.06, rows * row_height
    with drawing(target, width * _TILE_IN + 0.2, height * _TILE_IN + 0.2, theme, arranged=False) as figure:
        axes = figure.add_axes((0.1 / figure.get_figwidth(), 0.0, 1 - 0.2 / figure.get_figwidth(), 1.0))
        axes.set_axis_off()
        axes.set_xlim(0, width)
        axes.set_ylim(height, -0.2 / _TILE_IN)
        for place, tile in enumerate(tiles):
            left, top = (place % columns) * 1.06, (place // columns) * row_height
            picture = placeholder(theme) if tile.picture is None else tile.picture
            box = _fit(picture.shape[1], picture.shape[0], left, top)
            axes.imshow(picture, extent=box, interpolation="antialiased", aspect="auto")
            if tile.picture is None:
                axes.text(left + 0.5, top + 0.5, "missing", ha="center", va="center", fontsize=8, color=theme.muted)
            for number, line in enumerate(tile.lines):
                axes.text(
                    left,
                    top + 1.1 + 0.125 * number,
                    shorten(line, 21 if number == 0 else 25),
                    va="center",
                    fontsize=8 if number == 0 else 7,
                    fontweight="bold" if number == 0 else "normal",
                    color=theme.text if number == 0 else theme.muted,
                )
        axes.set_xlim(0, width)
        axes.set_ylim(height, -0.2 / _TILE_IN)


def placeholder(theme: Theme = LIGHT) -> npt.NDArray[np.uint8]:
    """A plain square for a missing picture."""
    shade = [int(theme.empty[start : start + 2], 16) for start in (1, 3, 5)]
    return np.full((8, 8, 3), shade, np.uint8)


def _fit(width: int, height: int, left: float, top: float) -> tuple[float, float, float, float]:
    """Left, right, bottom and top of a picture that is fitted into a unit square."""
    wide, high = (1.0, height / width) if width >= height else (width / height, 1.0)
    left, top = left + (1 - wide) / 2, top + (1 - high) / 2
    return left, left + wide, top + high, top
