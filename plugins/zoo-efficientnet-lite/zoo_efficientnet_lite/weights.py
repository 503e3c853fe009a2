"""ImageNet weights of EfficientNet-Lite0 and the names of their classes. ``convert_weights.py`` made the first file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.weights import load_weights

if TYPE_CHECKING:
    import keras

IMAGENET = Path(__file__).with_name("imagenet.npz")
IMAGENET_SHA256 = "8d0adbf66c9c5262f50b99cad3f7c7b4dd93014aa7f6b0940cf11443402c44a6"
LABELS = Path(__file__).with_name("imagenet_labels.txt")


def load_imagenet(model: keras.Model, with_head: bool) -> None:
    """Fills a model; with the head one of 1000 classes.

    Raises:
        PluginError: The shipped file is missing or damaged.
        UsageError: The head has another number of classes.
    """
    load_weights(model, IMAGENET, backbone="features", with_head=with_head, sha256=IMAGENET_SHA256)


def imagenet_labels() -> tuple[str, ...]:
    """1000 names in the order of the outputs; no two are equal, not even with case ignored."""
    return tuple(name for _, name in imagenet_classes())


def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """``(wnid, name)`` in the order of the outputs; the wnid is WordNet's, such as ``n01440764``."""
    rows = (line.split("\t") for line in LABELS.read_text(encoding="utf-8").splitlines())
    return tuple((wnid, name) for wnid, name in rows)
