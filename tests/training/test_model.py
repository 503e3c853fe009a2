"""A compiled model is ready for its first step."""

from __future__ import annotations

import keras
import numpy as np

from tests.conftest import PhotoFolder
from zoo import ImageSpec, Recipe
from zoo.data import load_data
from zoo.evaluation.predict import predict_inputs, predict_split
from zoo.training.model import compile_model


class _Counting(keras.layers.Layer):
    """Counts its calls. TensorFlow calls it once for every trace, and not when the trace runs."""

    traces = 0

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        type(self).traces += 1
        return x


def test_the_training_step_is_traced_once() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(_Counting()(inputs)))
    compile_model(model, Recipe(precision="float32"), steps_per_epoch=2)
    assert [float(metric.result()) for metric in model.metrics if metric.name == "loss"] == [0.0]
    _Counting.traces = 0
    model.fit(np.ones((8, 4), np.float32), np.eye(3, dtype=np.float32)[[0, 1] * 4], batch_size=4, verbose=0)
    assert _Counting.traces == 1


def test_splits_of_any_size_are_predicted_in_batches_of_one_size(photo_folder: PhotoFolder) -> None:
    """Every batch size needs another trace, which takes seconds for a deep network."""
    counts = {"val": 4, "test": 36}
    folder = photo_folder({f"{split}/{hue}": n // 2 for split, n in {"train": 4, **counts}.items() for hue in "ab"})
    data = load_data(str(folder), ImageSpec(height_px=8, width_px=8))
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(_Counting()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    _Counting.traces = 0
    found = {split: predict_split(model, data, split) for split in counts}
    assert _Counting.traces == 1
    assert {split: len(predictions.probabilities) for split, predictions in found.items()} == counts


def test_inputs_of_any_number_are_predicted() -> None:
    image = keras.Input((224, 224, 3))
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))
    images = np.random.default_rng(0).integers(0, 256, (19, 224, 224, 3), dtype=np.uint8)
    expected = images.mean((1, 2))
    for count in (1, 8, 16, 19):
        found = predict_inputs(model, images[:count], count)
        assert found.shape == (count, 3)
        np.testing.assert_allclose(found, expected[:count], rtol=1e-5)
