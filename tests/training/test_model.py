"""A model is ready for its first step when it is compiled."""

from __future__ import annotations

import keras
import numpy as np

from zoo import Recipe
from zoo.training.model import compile_model


class _Counting(keras.layers.Layer):
    """Counts how often it is called to train: TensorFlow calls it for every trace, and not when the trace runs."""

    traces = 0

    def call(self, x: keras.KerasTensor, training: bool = False) -> keras.KerasTensor:
        type(self).traces += bool(training)
        return x


def test_the_training_step_is_traced_once() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(_Counting()(inputs)))
    compile_model(model, Recipe(precision="float32"), steps_per_epoch=2)
    assert [float(metric.result()) for metric in model.metrics if metric.name == "loss"] == [0.0]
    _Counting.traces = 0
    model.fit(np.ones((8, 4), np.float32), np.eye(3, dtype=np.float32)[[0, 1] * 4], batch_size=4, verbose=0)
    assert _Counting.traces == 1
