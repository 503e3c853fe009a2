"""The families of ``keras.applications`` as architectures of zoo.

zoo imports this module to call its hooks, so it does not import Keras. ``model.py`` builds the networks, and
``weights.py`` finds or downloads their weights. Both modules are imported when they are needed. ``applications.py``
contains the table from which everything is created.
"""

from __future__ import annotations

from collections.abc import Iterable

from zoo import Architecture, ImageSpec, Recipe, Weights, hookimpl

from zoo_keras_applications.applications import APPLICATIONS, Application

#: The first recipe is that of mobilenetv2, which was chosen by cross-validation (docs/decisions/0020-heads.md of zoo).
#: The others were not tuned.
RECIPES = {
    "default": Recipe(head="chosen", head_learning_rate=3e-3, epochs=0, augmentation="none", precision="float32"),
    "scratch": Recipe(optimizer="adamw", weight_decay=1e-2, warmup_epochs=5, epochs=200, label_smoothing=0.1),
}


def architecture(application: Application) -> Architecture:
    return Architecture(
        name=application.name,
        summary=f"{application.factory} of Keras: {application.parameters} M parameters at {application.size_px} px",
        build=f"zoo_keras_applications.model:{application.name}",
        recipes=RECIPES,
        image=ImageSpec(height_px=application.size_px, width_px=application.size_px),
        backbone="features",
        expected_failures=application.expected_failures,
        weights=(
            Weights(
                name="imagenet",
                summary=f"ImageNet-1k, {application.file}, downloaded from Keras",
                labels="zoo_keras_applications.weights:imagenet_labels",
                load=f"zoo_keras_applications.weights:{application.name}",
                aliases="zoo_keras_applications.weights:wordnet_ids",
            ),
        ),
    )


@hookimpl
def zoo_architectures() -> Iterable[Architecture]:
    return [architecture(application) for application in APPLICATIONS]
