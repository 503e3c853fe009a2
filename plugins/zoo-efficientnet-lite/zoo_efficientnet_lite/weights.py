"""ImageNet weights and the names of their classes. ``convert_weights.py`` created the weight files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.weights import load_weights

from zoo_efficientnet_lite.variants import VARIANTS, Variant

if TYPE_CHECKING:
    import keras

FOLDER = Path(__file__).parent
LABELS = FOLDER / "imagenet_labels.txt"


def imagenet(variant: Variant) -> Path:
    """The weight file of an architecture."""
    return FOLDER / f"{variant.name}_imagenet.npz"


def load_imagenet(variant: Variant, model: keras.Model, with_head: bool) -> None:
    """Sets the weights of a model. With the head, the model must have 1000 classes.

    Raises:
        PluginError: The shipped file is missing or damaged.
        UsageError: The head has another number of classes.
    """
    load_weights(model, imagenet(variant), backbone="features", with_head=with_head, sha256=variant.sha256)


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


# One function for each row of the table; the records refer to them by name.
efficientnet_lite0, efficientnet_lite1, efficientnet_lite2 = (partial(load_imagenet, variant) for variant in VARIANTS)
