"""EfficientNet-Lite0, -Lite1 and -Lite2 with ImageNet weights: a plugin for zoo that you can copy to write your own.

zoo imports this module to call its hooks, so it does not import Keras. ``model.py`` builds the network, and
``weights.py`` loads its weights. Both modules are imported when they are needed. ``variants.py`` contains the table of
the three architectures.
"""

from __future__ import annotations

from collections.abc import Iterable

from zoo import Architecture, Augmentation, Recipe, Weights, hookimpl

from zoo_efficientnet_lite.variants import VARIANTS, Variant, block_outputs

RECIPES = {
    # docs/decisions/0020-heads.md in zoo
    "default": Recipe(head="chosen", head_learning_rate=3e-3, epochs=0, augmentation="none", precision="float32"),
    # The same, then all layers are trained. The result is kept if it is better on the validation images.
    # docs/decisions/0020-heads.md in zoo
    "finetune": Recipe(
        head="chosen",
        epochs=8,
        learning_rate=3e-4,
        batch_norm_momentum=0.9,
        augmentation=Augmentation(flip="auto"),
        precision="float32",
    ),
    # The settings of the original tutorial: a frozen base, 500 epochs at 1e-5.
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
        summary=f"EfficientNet-Lite{variant.name[-1]}: {variant.parameters} M parameters, {variant.gmac} GMAC at "
        f"{variant.size_px} px",
        build=f"zoo_efficientnet_lite.model:{variant.name}",
        recipes=RECIPES,
        image=variant.image,
        backbone="features",
        depths=block_outputs(variant),
        weights=(
            Weights(
                name="imagenet",
                summary=f"ImageNet-1k, {variant.source}; Apache-2.0",
                labels="zoo_efficientnet_lite.weights:imagenet_labels",
                load=f"zoo_efficientnet_lite.weights:{variant.name}",
                aliases="zoo_efficientnet_lite.weights:wordnet_ids",
                top1=variant.top1,
            ),
        ),
    )


@hookimpl
def zoo_architectures() -> Iterable[Architecture]:
    return [architecture(variant) for variant in VARIANTS]
