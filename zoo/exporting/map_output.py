"""Adds a second output to a model for export: the evidence at each position for each class.

The map is a 1x1 convolution on each feature map in which the logits are linear, with the weights of the head; see
``zoo.exporting.evidence``. It needs no gradients, so that every runtime can compute it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from zoo.errors import ExportError
from zoo.exported import MAP
from zoo.exporting.evidence import Depth, LinearHead, find_head, interpolation
from zoo.exporting.graph import Graph
from zoo.exporting.quantize.forward import run_compiled

#: Number of calibration images on which the ranges of the map are measured.
MEASURED_IMAGES = 128

#: Rounds a tensor with a given name, or returns it unchanged.
Rounding = Callable[[str, Any], Any]
Ranges = dict[str, tuple[float, float]]


def head_for_map(graph: Graph) -> LinearHead:
    """The head of a model from which a map can be computed.

    Raises:
        ExportError: The model has another head.
    """
    model = graph.model
    head = find_head(graph)
    instead = "Export without --with-map. `zoo explain RUN PHOTO` draws an approximation with Keras."
    if head is None:
        raise ExportError(
            f"The model '{model.name}' cannot be exported with a map: the operations between its feature maps "
            "and its logits are not linear.",
            instead,
        )
    if not all(depth.uniform for depth in head.depths):
        raise ExportError(
            f"The model '{model.name}' cannot be exported with a map: it flattens its feature map, so that every "
            "position has its own weights.",
            instead,
        )
    return head


def add_map(model: keras.Model, bias: NDArray[np.float32], images: NDArray[np.uint8] | None) -> keras.Model:
    """A model with a second output, the evidence map: ``(n, height, width, classes)``.

    Args:
        model: Model prepared for export, with ``FakeQuantize`` layers if it is to be stored in 8 bits.
        bias: Bias of the trained model's head. Preparing a model moves constants between feature maps and biases. The
            map compensates for this, so that it equals the map of the trained model.
        images: Calibration images, uint8, if the model is to be stored in 8 bits. Otherwise ``None``.
    """
    graph = Graph(model)
    head = head_for_map(graph)
    moved = head.bias - bias
    if images is None:
        return _with_map(graph, head, moved, lambda name, value: value)
    ranges = _measure(graph, head, moved, images)
    from zoo.exporting.quantize import FakeQuantize

    def rounded(name: str, value: Any) -> Any:
        return FakeQuantize(*ranges[name], name=graph.free_name(f"{name}_8bit"), dtype="float32")(value)

    return _with_map(graph, head, moved, rounded)


def _with_map(graph: Graph, head: LinearHead, moved: NDArray[np.float32], rounded: Rounding) -> keras.Model:
    return graph.rebuild(more=lambda value_of: [_branch(graph, head, moved, value_of, rounded)[-1]])


def _branch(
    graph: Graph, head: LinearHead, moved: NDArray[np.float32], value_of: Callable[..., Any], rounded: Rounding
) -> list[Any]:
    """The tensors that are computed from the feature maps. The last of them is the evidence map."""
    made = []
    parts = []
    finest = next(depth for depth in head.depths if depth.size == head.size)
    for number, depth in enumerate(head.depths):
        name = MAP if number == 0 else f"{MAP}_{number + 1}"
        bias = moved / np.float32(np.prod(head.size)) if depth is finest else np.zeros_like(moved)
        # Multiplied by the number of positions that are averaged below, so that the average becomes a sum.
        places = max(1, depth.size[0] // head.size[0]) * max(1, depth.size[1] // head.size[1])
        made.append(rounded(name, _convolution(depth, places, bias, name)(value_of(depth.call))))
        if depth.size > head.size:
            times = (depth.size[0] // head.size[0], depth.size[1] // head.size[1])
            pool = layers.AveragePooling2D(times, data_format="channels_last", name=f"{name}_summed", dtype="float32")
            made.append(rounded(f"{name}_summed", pool(made[-1])))
        elif depth.size != head.size:
            shared = keras.ops.multiply(made[-1], _shares(depth.size, head.size))
            made.append(rounded(f"{name}_shared", shared))
            finer = layers.Resizing(
                *head.size, "bilinear", data_format="channels_last", name=f"{name}_finer", dtype="float32"
            )
            made.append(rounded(f"{name}_finer", finer(made[-1])))
        parts.append(made[-1])
    if len(parts) > 1:
        made.append(rounded(f"{MAP}_sum", layers.Add(name=f"{MAP}_sum", dtype="float32")(parts)))
    return made


def _convolution(depth: Depth, times: int, bias: NDArray[np.float32], name: str) -> layers.Conv2D:
    """A 1x1 convolution that computes a multiple of the evidence."""
    kernel = depth.weights * np.float32(times)
    layer = layers.Conv2D(kernel.shape[-1], 1, name=name, dtype="float32")
    layer.build((None, *depth.size, kernel.shape[2]))
    layer.set_weights([kernel, bias])
    return layer


def _shares(coarse: tuple[int, int], fine: tuple[int, int]) -> NDArray[np.float32]:
    """Factors for the coarse positions, so that interpolation preserves their sum: ``(1, height, width, 1)``."""
    down, across = (interpolation(*sizes).sum(axis=0) for sizes in zip(fine, coarse, strict=True))
    return np.asarray(1 / np.outer(down, across), np.float32)[None, :, :, None]


def _measure(graph: Graph, head: LinearHead, moved: NDArray[np.float32], images: NDArray[np.uint8]) -> Ranges:
    """The smallest and largest value of every tensor of the branch, measured on images."""
    names: list[str] = []

    def watched(name: str, value: Any) -> Any:
        names.append(name)
        return value

    model = graph.rebuild(more=lambda value_of: _branch(graph, head, moved, value_of, watched))

    def limits(image: Any) -> list[tuple[Any, Any]]:
        return [(keras.ops.min(value), keras.ops.max(value)) for value in model(image, training=False)[1:]]

    measured = np.array([found for _, found in run_compiled(images, limits)])  # (batches, names, 2)
    low = np.minimum(measured[:, :, 0].min(axis=0), 0)
    high = np.maximum(measured[:, :, 1].max(axis=0), 1e-6)  # a range must not be empty
    return {name: (float(low[place]), float(high[place])) for place, name in enumerate(names)}
