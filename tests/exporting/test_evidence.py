"""Evidence at every position: exact for every head that is linear in feature maps, and equal in exported files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import zoo_onnx
import zoo_tflite
from keras import layers, ops

from tests.exporting.models import answers, flattening, pixels, randomise
from zoo.errors import ExportError
from zoo.exporting.evidence import features_of, find_head, spread
from zoo.exporting.fold import fold
from zoo.exporting.graph import Graph
from zoo.exporting.map_output import add_map, head_for_map
from zoo.exporting.quantize import quantize
from zoo.training.temperature import divide_logits

SHAPE = (16, 16, 3)
CLASSES = 4
EXPORTERS = {"onnx": zoo_onnx.EXPORTER, "tflite": zoo_tflite.EXPORTER}


def network(
    head: Callable[[Any, Any], Any], activation: str = "relu", shape: tuple[int, int, int] = SHAPE
) -> keras.Model:
    """A network with two feature maps of different depth, from which ``head`` computes logits."""
    image = keras.Input(shape, name="image")
    x = layers.Rescaling(1 / 127.5, -1)(image)
    shallow = layers.Conv2D(6, 3, strides=2, padding="same", activation=activation)(x)
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(shallow))
    deep = layers.Activation(activation)(x)
    return randomise(keras.Model(image, layers.Softmax()(head(shallow, deep))))


def pooled(feature_map: Any) -> Any:
    return layers.GlobalAveragePooling2D()(feature_map)


def dense(name: str | None = None) -> layers.Dense:
    return layers.Dense(CLASSES, name=name)


HEADS: dict[str, Callable[[Any, Any], Any]] = {
    "pooling and a dense layer": lambda shallow, deep: dense()(layers.Dropout(0.3)(pooled(deep))),
    "pooled features of two depths, concatenated": lambda shallow, deep: dense()(
        layers.Concatenate()([pooled(shallow), pooled(deep)])
    ),
    "a dense layer a depth, summed": lambda shallow, deep: layers.Add()(
        [dense()(pooled(shallow)), dense()(pooled(deep))]
    ),
    "normalised features": lambda shallow, deep: dense()(
        layers.Rescaling(0.5, 0.25)(layers.BatchNormalization()(pooled(deep)))
    ),
    "two dense layers without activation": lambda shallow, deep: dense()(layers.Dense(5)(pooled(deep))),
    "a convolution of one place after pooling": lambda shallow, deep: layers.Flatten()(
        layers.Conv2D(CLASSES, 1)(layers.GlobalAveragePooling2D(keepdims=True)(deep))
    ),
    "average pooling of all places": lambda shallow, deep: dense()(layers.Flatten()(layers.AveragePooling2D(4)(deep))),
    "average pooling of some places": lambda shallow, deep: dense()(layers.Flatten()(layers.AveragePooling2D(3)(deep))),
    "operations in place of layers": lambda shallow, deep: (
        dense()(ops.mean(deep, axis=(1, 2))) + dense()(pooled(shallow))
    ),
    "a flattened feature map": lambda shallow, deep: dense()(layers.Flatten()(deep)),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_evidence_of_all_places_and_the_bias_are_the_logit(name: str) -> None:
    model = network(HEADS[name])
    divide_logits(model, 1.7)  # the map remains exact with a temperature
    graph, images = Graph(model), pixels(5, SHAPE)
    head = find_head(graph)
    assert head is not None
    probabilities, features = features_of(graph, [depth.call for depth in head.depths], images)
    logits = head.evidence(features).sum(axis=(1, 2)) + head.bias
    np.testing.assert_allclose(logits.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), probabilities, atol=1e-6)
    np.testing.assert_allclose(probabilities, answers(model, images), atol=1e-6)


def test_a_number_added_to_all_logits_changes_no_evidence() -> None:
    model, images = network(HEADS["pooling and a dense layer"]), pixels(3, SHAPE)

    def evidence() -> Any:
        graph = Graph(model)
        head = find_head(graph)
        assert head is not None
        return head.evidence(features_of(graph, [depth.call for depth in head.depths], images)[1])

    before = evidence()
    (last,) = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
    last.kernel.assign(last.kernel + np.linspace(-3, 5, last.kernel.shape[0], dtype=np.float32)[:, None])
    np.testing.assert_allclose(evidence(), before, atol=1e-5)


@pytest.mark.parametrize(
    "head",
    [
        lambda shallow, deep: dense()(layers.Dense(5, activation="relu")(pooled(deep))),
        lambda shallow, deep: dense()(layers.GlobalMaxPooling2D()(deep)),
        lambda shallow, deep: dense()(layers.LayerNormalization()(pooled(deep))),
    ],
    ids=["two layers", "largest", "normalised by itself"],
)
def test_a_head_that_is_not_linear_is_not_taken_for_one(head: Callable[[Any, Any], Any]) -> None:
    graph = Graph(network(head))
    assert find_head(graph) is None
    with pytest.raises(ExportError, match="not linear"):
        head_for_map(graph)


def test_a_model_inside_a_model_is_looked_into() -> None:
    inner = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(5, 3), layers.ReLU()])
    image = keras.Input(SHAPE)
    graph = Graph(keras.Model(image, layers.Dense(3, activation="softmax")(pooled(inner(image)))))
    head = find_head(graph)
    assert head is not None
    assert head.size == (14, 14)


@pytest.mark.parametrize(("coarse", "fine"), [((4, 4), (8, 8)), ((7, 5), (14, 15)), ((3, 8), (7, 8))])
def test_evidence_on_a_finer_grid_sums_to_the_same(coarse: tuple[int, int], fine: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=(2, *coarse, 3)).astype(np.float32)
    found = spread(values, fine)
    assert found.shape == (2, *fine, 3)
    np.testing.assert_allclose(found.sum(axis=(1, 2)), values.sum(axis=(1, 2)), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "shape", "precision"),
    [
        ("pooling and a dense layer", SHAPE, "int8"),
        ("a dense layer a depth, summed", (72, 40, 3), "float32"),  # 36 x 20 positions are summed to 18 x 10
        ("a dense layer a depth, summed", (30, 22, 3), "int8"),  # 15 x 11 and 8 x 6 positions, as in EfficientNet-Lite1
    ],
)
def test_files_say_the_same_as_keras(name: str, shape: tuple[int, int, int], precision: str, tmp_path: Path) -> None:
    # swish: an int8 file moves constants from the feature maps to the biases
    model, images = network(HEADS[name], "swish", shape), pixels(24, shape)
    graph = Graph(model)
    head = head_for_map(graph)
    expected = head.evidence(features_of(graph, [depth.call for depth in head.depths], images)[1])
    prepared = fold(model) if precision == "float32" else quantize(fold(model), images).model
    with_map = add_map(prepared, head.bias, None if precision == "float32" else images)
    for exporter in EXPORTERS.values():
        plain, mapped = (tmp_path / f"{kind}{exporter.suffix}" for kind in ("plain", "mapped"))
        exporter.convert(prepared, plain, precision)
        exporter.convert(with_map, mapped, precision)
        runtime = exporter.load(mapped, 1)
        assert [output.name for output in runtime.outputs] == ["probabilities", "map"]
        assert runtime.outputs[1].shape[1:] == (*head.size, CLASSES)
        probabilities, maps = runtime.explain(images[:9])
        np.testing.assert_array_equal(probabilities, runtime.predict(images[:9]))
        np.testing.assert_allclose(probabilities, exporter.load(plain, 1).predict(images[:9]), atol=1e-6)
        difference = np.abs(maps - expected[:9]).max() / np.abs(expected).max()
        assert difference < (1e-5 if precision == "float32" else 0.15)
        assert np.corrcoef(maps.ravel(), expected[:9].ravel())[0, 1] > (0.999999 if precision == "float32" else 0.99)


def test_what_no_map_can_be_made_of_is_said_before_the_work() -> None:
    with pytest.raises(ExportError, match="not linear"):
        head_for_map(Graph(flattening(SHAPE)))
    with pytest.raises(ExportError, match="flattens"):
        head_for_map(Graph(network(HEADS["a flattened feature map"])))
