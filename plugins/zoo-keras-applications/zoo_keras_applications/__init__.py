"""The families of ``keras.applications`` as architectures of zoo.

zoo imports this module to ask its hooks, so it needs no Keras: the networks are in ``model.py``, their weights in
``weights.py``, and both are imported when they are called. ``applications.py`` is the table that everything follows from.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from zoo import Architecture, ImageSpec, Recipe, Weights, hookimpl

from zoo_keras_applications.applications import APPLICATIONS, Application

if TYPE_CHECKING:
    import keras


def build(application: Application, input_shape: tuple[int, int, int], num_classes: int, **options: Any) -> keras.Model:
    """See ``zoo_keras_applications.model.build``."""
    from zoo_keras_applications import model

    return model.build(application, input_shape, num_classes, **options)


def load_imagenet(application: Application, model: keras.Model, with_head: bool) -> None:
    """See ``zoo_keras_applications.weights.load_imagenet``."""
    from zoo_keras_applications import weights

    weights.load_imagenet(application, model, with_head)


def imagenet_labels() -> tuple[str, ...]:
    """See ``zoo_keras_applications.weights.imagenet_labels``."""
    from zoo_keras_applications import weights

    return weights.imagenet_labels()


def wordnet_ids() -> dict[str, str]:
    """WordNet id to class name, such as ``n01440764`` to ``tench``."""
    from zoo_keras_applications import weights

    return dict(weights.imagenet_classes())


#: The first is mobilenetv2's, which was chosen by cross-validation (docs/decisions/0005-transfer-learning-recipe.md of
#: zoo); nothing was searched for the others.
RECIPES = {
    "default": Recipe(
        optimizer="adam", head_epochs=60, head_learning_rate=3e-3, epochs=0, augmentation="none", precision="float32"
    ),
    "scratch": Recipe(optimizer="adamw", weight_decay=1e-2, warmup_epochs=5, epochs=200, label_smoothing=0.1),
}


def architecture(application: Application) -> Architecture:
    return Architecture(
        name=application.name,
        summary=f"{application.factory} of Keras: {application.parameters} million parameters at {application.size_px} "
        "px; ImageNet weights by download",
        build=partial(build, application),
        recipes=RECIPES,
        image=ImageSpec(height_px=application.size_px, width_px=application.size_px),
        backbone="features",
        expected_failures=application.expected_failures,
        weights=(
            Weights(
                name="imagenet",
                summary=f"ImageNet-1k, {application.file} as Keras publishes it",
                labels=imagenet_labels,
                load=partial(load_imagenet, application),
                aliases=wordnet_ids,
            ),
        ),
    )


@hookimpl
def zoo_architectures() -> Iterable[Architecture]:
    return [architecture(application) for application in APPLICATIONS]
