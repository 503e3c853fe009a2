"""Gradients of the score of a class with respect to feature maps, on every Keras backend that has gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.exporting.evidence import Logits
from zoo.exporting.graph import Call, Graph

Array = NDArray[np.float32]
#: Computes a score from changes that are added to some feature maps.
Score = Callable[[Sequence[Any]], Any]


def gradients(
    graph: Graph, logits: Logits | None, maps: Sequence[Call], images: NDArray[np.float32], places: Sequence[int]
) -> list[Array]:
    """Gradients of the score of a class in each image with respect to given feature maps.

    The score is the logit of the class minus the mean of all logits. For a network without softmax at its end, it is
    the logarithm of its output.

    Args:
        graph: The model.
        logits: The logits of the model.
        maps: The calls that compute the feature maps.
        images: Images, ``(n, height, width, 3)``.
        places: Index of the class of each image.
    """
    from zoo.exporting.quantize.forward import run

    wanted = keras.ops.one_hot(np.asarray(places), graph.output[0].shapes[0][-1])

    def score(added: Sequence[Any]) -> Any:
        seen: dict[str, Any] = {}
        more = dict(zip(maps, added, strict=True))

        def visit(call: Call, values: list[Any]) -> Any:
            if logits is not None and call is logits.call and logits.layer is not None:
                seen["logits"] = call.invoke(logits.layer, values)
            value = call.invoke(call.operation, values)
            if logits is not None and call is logits.call and logits.layer is None:
                seen["logits"] = value
            return value + keras.ops.cast(more[call], value.dtype) if call in more else value

        output = run(graph, keras.ops.convert_to_tensor(images, "float32"), visit)
        if "logits" in seen:
            row = keras.ops.reshape(keras.ops.cast(seen["logits"], "float32"), (len(images), -1))
            row = row - keras.ops.mean(row, axis=-1, keepdims=True)
        else:
            row = keras.ops.log(keras.ops.maximum(keras.ops.cast(output, "float32"), 1e-30))
        return keras.ops.sum(row * wanted)

    nothing = [np.zeros((len(images), *(side or 0 for side in call.shapes[0][1:])), np.float32) for call in maps]
    return [np.asarray(value, np.float32) for value in _BACKENDS[keras.config.backend()](score, nothing)]


def _tensorflow(score: Score, at: list[Array]) -> list[Any]:
    import tensorflow as tf

    added = [tf.constant(value) for value in at]
    with tf.GradientTape() as tape:
        tape.watch(added)
        found = score(added)
    return [np.asarray(slope) for slope in tape.gradient(found, added, unconnected_gradients="zero")]


def _jax(score: Score, at: list[Array]) -> list[Any]:
    import jax

    return list(jax.grad(score)([jax.numpy.asarray(value) for value in at]))


def _torch(score: Score, at: list[Array]) -> list[Any]:
    import torch

    device = keras.ops.convert_to_tensor(0.0).device
    added = [torch.tensor(value, device=device, requires_grad=True) for value in at]
    with torch.enable_grad():
        found = score(added)
        slopes = torch.autograd.grad(found, added, allow_unused=True)
    return [at[place] if slope is None else slope.cpu().numpy() for place, slope in enumerate(slopes)]


_BACKENDS: dict[str, Callable[[Score, list[Array]], list[Any]]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}

#: Backends on which ``gradients`` works.
HAVE_GRADIENTS = tuple(_BACKENDS)
