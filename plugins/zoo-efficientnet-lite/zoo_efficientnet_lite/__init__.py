"""EfficientNet-Lite0, -Lite1 and -Lite2 with ImageNet weights: a plugin for zoo, and the one to copy.

zoo imports this module to ask its hooks, so it needs no Keras: the network is in ``model.py``, its weights in
``weights.py``, and both are imported when they are called. ``variants.py`` is the table of the three.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo import Architecture, Recipe, Weights, hookimpl

from zoo_efficientnet_lite.variants import VARIANTS, Variant

if TYPE_CHECKING:
    import keras


def build(variant: Variant, input_shape: tuple[int, int, int], num_classes: int, **options: Any) -> keras.Model:
    """See ``zoo_efficientnet_lite.model.build``."""
    from zoo_efficientnet_lite import model

    return model.build(variant, input_shape, num_classes, **options)


def imagenet_labels() -> tuple[str, ...]:
    """See ``zoo_efficientnet_lite.weights.imagenet_labels``."""
    from zoo_efficientnet_lite import weights

    return weights.imagenet_labels()


def wordnet_ids() -> dict[str, str]:
    """WordNet id to class name, such as ``n01440764`` to ``tench``."""
    from zoo_efficientnet_lite import weights

    return dict(weights.imagenet_classes())


def load_imagenet(variant: Variant, model: keras.Model, with_head: bool) -> None:
    """See ``zoo_efficientnet_lite.weights.load_imagenet``."""
    from zoo_efficientnet_lite import weights

    weights.load_imagenet(variant, model, with_head)


RECIPES = {
    # Chosen by cross-validation on three small sets; docs/decisions/0005-transfer-learning-recipe.md.
    "default": Recipe(
        optimizer="adam",
        head_epochs=60,
        head_learning_rate=3e-3,
        epochs=0,
        augmentation="none",
        precision="float32",
    ),
    # The founding tutorial's: a frozen base, 500 epochs at 1e-5.
    "article": Recipe(
        optimizer="adam",
        head_epochs=500,
        head_learning_rate=1e-5,
        schedule="constant",
        epochs=0,
        augmentation="none",
        class_weights="none",
        dropout=0.2,
        calibrate="none",
        precision="float32",
    ),
    "scratch": Recipe(optimizer="adamw", weight_decay=1e-2, warmup_epochs=5, epochs=200, label_smoothing=0.1),
}


def architecture(variant: Variant) -> Architecture:
    """The record of one row of the table."""
    return Architecture(
        name=variant.name,
        summary=f"EfficientNet-Lite{variant.name[-1]}: {variant.parameters} million parameters, {variant.gmac} GMAC at "
        f"{variant.size_px} px; pretrained on ImageNet",
        build=partial(build, variant),
        recipes=RECIPES,
        image=variant.image,
        backbone="features",
        weights=(
            Weights(
                name="imagenet",
                summary=f"ImageNet-1k, {variant.source}; Apache-2.0",
                labels=imagenet_labels,
                load=partial(load_imagenet, variant),
                aliases=wordnet_ids,
                top1=variant.top1,
            ),
        ),
    )


@hookimpl
def zoo_architectures() -> Iterable[Architecture]:
    return [architecture(variant) for variant in VARIANTS]
