"""ImageNet weights of MobileNetV2 and the names of their classes. ``convert_weights.py`` created the weight file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.weights import load_weights

if TYPE_CHECKING:
    import keras

IMAGENET = Path(__file__).with_name("imagenet.npz")
IMAGENET_SHA256 = "98cc5a45a9a7838fea3fc67858d2cc098078f2fcf6d3aaaea77af88bcaae522c"
LABELS = Path(__file__).with_name("imagenet_labels.txt")


def load_imagenet(model: keras.Model, with_head: bool) -> None:
    """Sets the weights of a model of width 1.0. With the head, the model must have 1000 classes.

    Raises:
        PluginError: The shipped file is missing or damaged.
        UsageError: The model has another width, or the head another number of classes.
    """
    load_weights(
        model,
        IMAGENET,
        backbone="features",
        with_head=with_head,
        sha256=IMAGENET_SHA256,
        hint="The ImageNet weights are for width 1.0: build with width=1.0, or start from random weights.",
    )


def imagenet_labels() -> tuple[str, ...]:
    """Returns 1000 names in the order of the outputs. No two are equal, even if case is ignored."""
    return tuple(name for _, name in imagenet_classes())


def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """``(wnid, name)`` in the order of the outputs. The wnid is the WordNet ID, such as ``n01440764``."""
    rows = (line.split("\t") for line in LABELS.read_text(encoding="utf-8").splitlines())
    return tuple((wnid, name) for wnid, name in rows)


def wordnet_ids() -> dict[str, str]:
    """The class names by WordNet ID, such as ``tench`` for ``n01440764``."""
    return dict(imagenet_classes())
