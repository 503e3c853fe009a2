"""A compiled model is ready for its first step."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import PhotoFolder
from zoo import ImageSpec, Recipe
from zoo.data import load_data
from zoo.evaluation.predict import predict_inputs, predict_split
from zoo.training.batch_norm import fuse_batch_norm
from zoo.training.model import compile_model, dtype_policy


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


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_fused_batch_norm_trains_like_that_of_keras(precision: str) -> None:
    """Also on a last, smaller batch, and in a layer that is not trained."""

    def build() -> keras.Model:
        keras.utils.set_random_seed(0)
        with dtype_policy(precision):
            image = x = keras.Input((12, 12, 3))
            for number in (1, 2, 3):
                x = keras.layers.Conv2D(8, 3, use_bias=False)(x)
                x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm_{number}")(x)
                x = keras.layers.ReLU()(x)
            x = keras.layers.GlobalAveragePooling2D()(x)
            model = keras.Model(image, keras.layers.Dense(3, activation="softmax", dtype="float32")(x))
        model.get_layer("norm_1").trainable = False
        return model

    random = np.random.default_rng(0)
    images, targets = random.normal(0, 1, (20, 12, 12, 3)).astype(np.float32), np.eye(3)[random.integers(0, 3, 20)]
    plain, fused = build(), build()
    fuse_batch_norm(fused)
    losses = []
    for model in (plain, fused):
        model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", jit_compile=False)
        losses.append([float(model.train_on_batch(images[part], targets[part])) for part in (slice(16), slice(16, 20))])
    tolerance = 1e-5 if precision == "float32" else 2e-2
    np.testing.assert_allclose(*losses, rtol=tolerance)
    for one, other in zip(plain.weights, fused.weights, strict=True):
        np.testing.assert_allclose(other.numpy(), one.numpy(), atol=tolerance, err_msg=one.path)
    moved = [
        not np.array_equal(one, other) for one, other in zip(fused.get_weights(), build().get_weights(), strict=True)
    ]
    fixed = {weight.path for weight, other in zip(fused.weights, moved, strict=True) if not other}
    assert fixed == {f"norm_1/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")}


def test_a_training_step_has_one_operation_for_batch_norm() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(image))
    model = keras.Model(image, keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalMaxPooling2D()(x)))
    compile_model(model, Recipe(precision="float32"), steps_per_epoch=1)
    compile_model(model, Recipe(precision="float32"), steps_per_epoch=1)
    graph = tf.function(lambda images: model(images, training=True)).get_concrete_function(tf.zeros((4, 8, 8, 3))).graph
    assert [operation.type for operation in graph.get_operations()].count("FusedBatchNormV3") == 1
    assert "SquaredDifference" not in {operation.type for operation in graph.get_operations()}
