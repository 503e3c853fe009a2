"""The model takes raw pixels and contains the normalisation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from zoo.exporting.graph import Call, Graph
from zoo.testing.checks.build import noise
from zoo.testing.result import CheckError, NothingToCheckError
from zoo.testing.subject import Subject

#: Raw pixels exceed the first value, and normalised pictures do not. The largest absolute value of a normalised picture
#: exceeds the second.
_LARGE, _SMALL = 30.0, 0.1

#: Layers that contain or learn a normalisation.
_NORMALISING = (keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.GroupNormalization)


def check_raw_pixels(subject: Subject) -> str:
    model = subject.build(subject.image.input_shape, 2)
    graph = Graph(model)
    first = next((call for call in graph.calls if _computes(call)), None)
    if first is None:
        raise NothingToCheckError("no layer multiplies pixels with weights")
    if isinstance(first.operation, _NORMALISING):
        return f"the first layer with weights, '{first.name}', normalises"
    given = _inputs_of(graph, first, noise(subject.image.input_shape).astype(np.float32))
    low, high = float(given.min()), float(given.max())
    if low >= 0 and high > _LARGE:
        raise CheckError(
            "pixels of 0..255 are scaled or centred inside the model, before the first weights",
            f"'{first.name}' receives values from {low:g} to {high:g}",
            "Begin with layers.Rescaling(1 / 127.5, offset=-1), or with the normalisation for which the weights were "
            "trained; do not use `preprocess_input`.",
        )
    if max(-low, high) < _SMALL and high > low:
        raise CheckError(
            "pixels are normalised once, to values of about -1 to 1",
            f"'{first.name}' receives values from {low:.3g} to {high:.3g}",
            "Is there a second Rescaling, such as one inside a keras.applications model?",
        )
    if not high > low:
        raise CheckError(
            "different pixels give different values",
            f"'{first.name}' receives only the value {low:g}",
            "Look at the layers before it: does one of them round the values or cast them to whole numbers?",
        )
    return f"the first layer with weights, '{first.name}', receives values from {low:.3g} to {high:.3g}"


def _computes(call: Call) -> bool:
    layer = call.operation
    return (
        isinstance(layer, keras.layers.Layer)
        and bool(layer.weights)
        and not isinstance(layer, keras.layers.Normalization)
    )


def _inputs_of(graph: Graph, call: Call, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Computes the input of a call by running all calls before it."""
    values: dict[tuple[Call, int], Any] = {(graph.input, 0): keras.ops.convert_to_tensor(images)}
    for before in graph.calls[1 : graph.calls.index(call)]:
        result = before.invoke(before.operation, [values[source] for source in before.sources])
        for index, value in enumerate(result if isinstance(result, list | tuple) else [result]):
            values[before, index] = value
    (given, *_) = call.sources
    return np.asarray(keras.ops.convert_to_numpy(values[given]))
