"""Decides whether images may be mirrored in training. They may not if mirroring turns one class into another.

An arrow to the left becomes an arrow to the right if it is mirrored. Then half of the images of the class have the
wrong label, and the loss does not show why the model does not learn. Therefore the names of the classes and the
training images are checked before images are mirrored.
"""

from __future__ import annotations

from collections.abc import Iterator

from zoo.augmentation import Flip
from zoo.data import ImageData
from zoo.recipe import Recipe
from zoo.run_folder.info import FlipInfo
from zoo.training.mirroring.measure import measured_swap
from zoo.training.mirroring.names import named_swap
from zoo.training.mirroring.way import WORDS, Way

#: Minimum rotation, in both directions, at which images are also turned upside down.
_UPSIDE_DOWN_DEGREES = 135


def choose_flip(recipe: Recipe, data: ImageData, declared: Flip) -> FlipInfo:
    """Decides what ``auto`` means for a dataset, and checks an explicit setting.

    Args:
        recipe: The recipe. Nothing is checked if it uses only plain images.
        data: The data. Its training images are measured if they would be mirrored.
        declared: The setting in the record of a named dataset, or ``auto``.
    """
    asked = recipe.ranges.flip
    if not recipe.augments:
        return FlipInfo(asked=asked, chosen=asked, warning="")
    if asked == "auto" and declared != "auto":
        off = f"Images are not mirrored, because a mirrored image of {data.source} would not be a valid example."
        return FlipInfo(asked=asked, chosen=declared, warning=_with_way_out(off) if declared == "none" else "")
    wanted: Flip = "horizontal" if asked == "auto" else asked
    found = next(filter(None, (_swap(data, way) for way in _ways(wanted, recipe.ranges.rotation_degrees))), None)
    if not found:
        return FlipInfo(asked=asked, chosen=wanted, warning="")
    if asked == "auto":
        return FlipInfo(asked=asked, chosen="none", warning=_with_way_out(f"Images are not mirrored: {found}"))
    return FlipInfo(
        asked=asked,
        chosen=wanted,
        warning=f"{found[0].upper()}{found[1:]} The images are changed nevertheless, as requested.",
    )


def _ways(flip: Flip, rotation_degrees: float) -> Iterator[Way]:
    if flip in ("horizontal", "both"):
        yield "horizontal"
    if flip in ("vertical", "both"):
        yield "vertical"
    if flip == "both" or rotation_degrees >= _UPSIDE_DOWN_DEGREES:
        yield "turn"


def _swap(data: ImageData, way: Way) -> str:
    """A sentence on two classes that mirroring exchanges. Empty if there are none."""
    names = named_swap(data.labels, way)
    if names:
        return f"according to their names, the classes '{names[0]}' and '{names[1]}' are exchanged when {WORDS[way]}."
    swap = measured_swap(data, way)
    if not swap:
        return ""
    return (
        f"{swap.changed} of {swap.images} training images of '{swap.label}' look like '{swap.other}' when"
        f" {WORDS[way]}, and {swap.unchanged} of them do without this change (cross-validated)."
    )


def _with_way_out(sentence: str) -> str:
    return f"{sentence} Use --flip horizontal to mirror them nevertheless."
