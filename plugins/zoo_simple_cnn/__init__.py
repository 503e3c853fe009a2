"""The CNN of the original tutorial: three convolutions, trained from scratch."""

from __future__ import annotations

from zoo import Architecture, Recipe, hookimpl


@hookimpl
def zoo_architectures() -> list[Architecture]:
    return [
        Architecture(
            name="simple_cnn",
            summary="Three convolutions from scratch; small and quick to train",
            build="zoo_simple_cnn.model:build",
            recipes={
                # LAMB takes steps in proportion to the weights of each layer, because Adam's equal steps are too long
                # for the dense layer, which has 50176 inputs at 224 px. docs/decisions/0003-simple-cnn-recipe.md.
                "default": Recipe(
                    optimizer="lamb",
                    learning_rate=5e-3,
                    warmup_epochs=5,
                    weight_decay=0.01,
                    clip_norm=1.0,
                    epochs=40,
                    min_steps=2000,
                    augmentation="strong",
                    label_smoothing=0.1,
                ),
                # The settings of the tutorial. They show that a learning rate of 1e-6 is too low.
                "article": Recipe(
                    optimizer="adam",
                    learning_rate=1e-6,
                    schedule="constant",
                    epochs=500,
                    batch_size=32,
                    augmentation="article",
                    class_weights="none",
                    calibrate="none",
                    precision="float32",
                ),
            },
        )
    ]
