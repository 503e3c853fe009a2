"""MobileNetV2 (Sandler et al. 2018) with ImageNet weights.

The plugin manager imports this module, so it does not import Keras. ``model.py`` builds the network, and ``weights.py``
loads its weights. Both modules are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable

from zoo import Architecture, Augmentation, ImageSpec, Recipe, Weights, hookimpl

#: Blocks whose output is a sum with their input.
_RESIDUAL = (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)

ARCHITECTURE = Architecture(
    name="mobilenetv2",
    summary="MobileNetV2: 3.5 M parameters, 0.3 GMAC at 224 px",
    build="zoo_mobilenetv2.model:build",
    recipes={
        # docs/decisions/0020-heads.md
        "default": Recipe(head="chosen", head_learning_rate=3e-3, epochs=0, augmentation="none", precision="float32"),
        # The same, then all layers are trained. The result is kept if it is better on the validation images.
        # docs/decisions/0020-heads.md
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
    },
    image=ImageSpec(height_px=224, width_px=224, resize="squash", interpolation="area"),
    backbone="features",
    depths=tuple(f"block_{block:02d}_{'add' if block in _RESIDUAL else 'project_bn'}" for block in range(1, 18)),
    weights=(
        Weights(
            name="imagenet",
            summary="ImageNet-1k, torchvision's IMAGENET1K_V1; BSD-3-Clause",
            labels="zoo_mobilenetv2.weights:imagenet_labels",
            load="zoo_mobilenetv2.weights:load_imagenet",
            aliases="zoo_mobilenetv2.weights:wordnet_ids",
            top1=0.7188,  # published by torchvision for these weights
        ),
    ),
)


@hookimpl
def zoo_architectures() -> Iterable[Architecture]:
    return [ARCHITECTURE]
