"""A plugin with the smallest network that has everything that training supports: a backbone with BatchNorm, dropout,
pretrained weights. Tests of the harness use it if the network does not matter, because its step is traced in a
second."""

from __future__ import annotations

import numpy as np

from zoo import Architecture, ImageSpec, Recipe, Weights, hookimpl


def build(input_shape, num_classes):
    from keras import Input, Model, layers

    image = Input(input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    for number, filters in enumerate((8, 16), start=1):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"conv_{number}")(x)
        x = layers.BatchNormalization(name=f"norm_{number}")(x)
        x = layers.ReLU(6, name=f"relu_{number}")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return Model(image, layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities")(x))


def load(model, with_head):
    """Loads weights that are always the same."""
    random = np.random.default_rng(0)
    for number in (1, 2):
        layer = model.get_layer(f"conv_{number}")
        fan_in = int(np.prod(layer.kernel.shape[:3]))
        layer.set_weights([random.normal(0, (2 / fan_in) ** 0.5, layer.kernel.shape).astype(np.float32)])


@hookimpl
def zoo_architectures():
    recipe = Recipe(head_epochs=2, epochs=2, batch_size=16, learning_rate=1e-3, unfreeze=0.5, precision="float32")
    weights = Weights(name="drawn", summary="Drawn with a fixed seed", labels=lambda: ("a", "b"), load=load)
    return [
        Architecture(
            name="tiny_net",
            summary="Two convolutions, for tests",
            build=build,
            image=ImageSpec(height_px=32, width_px=32),
            recipes={"default": recipe},
            weights=(weights,),
            backbone="features",
            depths=("relu_1", "relu_2"),
        )
    ]
