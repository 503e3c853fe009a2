"""Runs a model call by call, so that every intermediate value can be inspected, changed and released."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from keras import activations, layers
from numpy.typing import NDArray

from zoo.exporting.fold import LINEAR
from zoo.exporting.graph import Call, Graph

Pixels = NDArray[np.uint8]
Value = TypeVar("Value")

#: Batch size while statistics are measured.
BATCH = 16

#: For so few images, compiling would take longer than it saves.
_FEW = 48

#: Layers whose output values are copies of input values, so that 8-bit values stay the same.
_PASSING = (layers.ZeroPadding2D, layers.Cropping2D, layers.MaxPooling2D, layers.Flatten, layers.Reshape)


def run(graph: Graph, image: Value, visit: Callable[[Call, list[Value]], Value]) -> Value:
    """Runs a graph on a value.

    Args:
        graph: The model.
        image: The value of the input.
        visit: Computes the value of a call from the values of its sources.

    Returns:
        The value of the graph's output. Other values are released as soon as they are no longer needed.
    """
    waiting = {call: len(call.users) for call in graph.calls}
    values = {graph.input: image}
    for call in graph.calls[1:]:
        values[call] = visit(call, [_one(values[source], index) for source, index in call.sources])
        for source in {source for source, _ in call.sources}:
            waiting[source] -= 1
            if not waiting[source]:
                del values[source]
    return values[graph.output[0]]


def _one(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, (list, tuple)) else value


def run_compiled(images: Pixels, function: Callable[[Any], Any], batch: int = BATCH) -> Iterator[tuple[int, Any]]:
    """Runs a function of a few images at a time. For many images it is compiled, which takes less time.

    Args:
        images: uint8 ``(n, height, width, 3)``.
        function: From a float32 tensor ``(batch, height, width, 3)`` to a nest of tensors.
        batch: Number of images at a time. The last batch may have fewer.

    Yields:
        The number of images of a batch, and the result for it, with arrays instead of tensors.
    """
    import tensorflow as tf

    def step(pixels: Any) -> Any:
        return function(tf.cast(pixels, tf.float32))

    if len(images) > _FEW:
        step = tf.function(step, [tf.TensorSpec((None, *images.shape[1:]), tf.uint8)], autograph=False)
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        yield len(part), tf.nest.map_structure(lambda value: value.numpy(), step(part))


def passes_through(call: Call) -> bool:
    """Whether the output values of a call are copies of input values or zeros, so that they need no rounding."""
    return isinstance(call.operation, _PASSING) or type(call.operation).__name__ == "Pad"


def is_relu(operation: Any) -> bool:
    """Whether an operation is a ReLU, capped or not, that converters fuse with the convolution before it."""
    if isinstance(operation, layers.ReLU):
        return not operation.negative_slope and not operation.threshold
    return isinstance(operation, layers.Activation) and operation.activation in (
        activations.relu,
        activations.relu6,
    )


def cap(operation: Any) -> float:
    """The value at which an operation clips; infinite if it does not clip."""
    if isinstance(operation, layers.ReLU):
        return np.inf if operation.max_value is None else float(operation.max_value)
    return 6.0 if isinstance(operation, layers.Activation) and operation.activation is activations.relu6 else np.inf


def rounded_calls(graph: Graph) -> list[Call]:
    """The calls whose outputs are stored in 8 bits.

    Not included are calls that only pass values on, have several outputs, or return no floating point numbers,
    convolutions and sums that are fused with a ReLU, and the probabilities, which stay in floating point.
    """
    found = []
    for call in graph.calls:
        after = call.only_user
        joined = isinstance(call.operation, (*LINEAR, layers.Add)) and after is not None and is_relu(after.operation)
        is_one = len(call.shapes) == 1 and call.is_float
        if call is not graph.output[0] and not passes_through(call) and not joined and is_one:
            found.append(call)
    return found


def channel_axes(value: Any) -> Sequence[int]:
    """All axes except the last."""
    return tuple(range(len(value.shape) - 1))
