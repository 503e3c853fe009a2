"""Whether images may be mirrored in training: not where a class becomes another class.

An arrow to the left is an arrow to the right once it is mirrored. Half of its mirrored images then carry the wrong
label, and nothing in the loss says why the model does not learn. So before an image is mirrored, the names of the
classes are read and the training images are measured.
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

#: From this rotation on, to either side, images are turned upside down too.
_UPSIDE_DOWN_DEGREES = 135


def choose_flip(recipe: Recipe, data: ImageData, declared: Flip) -> FlipInfo:
    """Decides what ``auto`` means for a dataset, and checks what was asked for explicitly.

    Args:
        recipe: Nothing is checked where it trains on plain images alone.
        data: Its training images are measured where they would be mirrored.
        declared: What the record of a named dataset says; ``auto`` where it says nothing.
    """
    asked = recipe.ranges.flip
    if not recipe.augments:
        return FlipInfo(asked=asked, chosen=asked, warning="")
    if asked == "auto" and declared != "auto":
        off = f"Images are not mirrored: a mirrored image of {data.source} is not one that the dataset could hold."
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
        warning=f"{found[0].upper()}{found[1:]} Training changes them all the same, as asked.",
    )


def _ways(flip: Flip, rotation_degrees: float) -> Iterator[Way]:
    if flip in ("horizontal", "both"):
        yield "horizontal"
    if flip in ("vertical", "both"):
        yield "vertical"
    if flip == "both" or rotation_degrees >= _UPSIDE_DOWN_DEGREES:
        yield "turn"


def _swap(data: ImageData, way: Way) -> str:
    """A sentence on two classes that become each other; empty where there are none."""
    names = named_swap(data.labels, way)
    if names:
        return f"the names '{names[0]}' and '{names[1]}' tell that they become each other when {WORDS[way]}."
    swap = measured_swap(data, way)
    if not swap:
        return ""
    return (
        f"{swap.changed} of {swap.images} training images of '{swap.label}' look like '{swap.other}' when"
        f" {WORDS[way]}, and {swap.unchanged} of them do as they are (cross-validated)."
    )


def _with_way_out(sentence: str) -> str:
    return f"{sentence} --flip horizontal mirrors them all the same."
