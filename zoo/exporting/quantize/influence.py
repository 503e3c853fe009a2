"""The influence of each channel: how much noise in it changes the logits.

Rounding adds noise to every stored tensor. To first order, the logits change by the noise times their gradient.
Therefore the squared gradient, summed over the positions of a map and averaged over images, is the cost of noise in a
channel: the variance of a logit for each unit of variance in the channel. One backward pass measures it for all
tensors. The logits get random signs, so that the expected square of their sum is the sum of their squares (Hutchinson
1990).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import ops

from zoo.exporting.graph import Call, Graph
from zoo.exporting.quantize.ending import find_ending
from zoo.exporting.quantize.forward import Pixels, channel_axes, run
from zoo.exporting.quantize.ranges import Array, Range

#: Number of images in one backward pass, which needs all intermediate values in memory.
_BATCH = 8


def measure_influence(graph: Graph, images: Pixels, calls: Iterable[Call]) -> dict[Call, Array]:
    """Measures the variance of a logit for each unit of variance in each channel of some tensors.

    Args:
        graph: The model.
        images: uint8 ``(n, height, width, 3)``, at least one image.
        calls: The calls whose outputs are measured.

    Returns:
        The influence of each channel. Tensors without a gradient are omitted.
    """
    import tensorflow as tf

    watched = set(calls)
    _, logits = find_ending(graph)
    signs = np.random.default_rng(0)
    found: dict[Call, Array] = {}
    for start in range(0, len(images), _BATCH):
        batch = images[start : start + _BATCH]
        values: dict[Call, Any] = {}

        def visit(call: Call, sources: list[Any], values: dict[Call, Any] = values) -> Any:
            value = call.invoke(call.operation, sources)
            if call in watched or call is logits:
                values[call] = value
            return value

        with tf.GradientTape() as tape:
            image = ops.convert_to_tensor(batch, "float32")
            tape.watch(image)
            run(graph, image, visit)
            scores = values[logits]
            # Softmax does not depend on the mean of all logits.
            scores = scores - ops.mean(scores, axis=-1, keepdims=True)
            sign = signs.choice([-1.0, 1.0], scores.shape).astype(np.float32)
            total = ops.sum(scores * sign)
        places = [call for call in values if call in watched]
        gradients = tape.gradient(total, [values[call] for call in places])
        for call, gradient in zip(places, gradients, strict=True):
            if gradient is not None:
                square = np.asarray(ops.sum(ops.square(gradient), axis=channel_axes(gradient)), np.float64)
                found[call] = found.get(call, 0.0) + square / (len(images) * scores.shape[-1])
    return found


def predicted_noise(influence: dict[Call, Array], ranges: dict[Call, Range]) -> dict[Call, float]:
    """For each tensor, the variance of a logit that its rounding to 8 bits causes, to first order."""
    return {
        call: float(cost.sum() * ((ranges[call][1] - ranges[call][0]) / 255) ** 2 / 12)
        for call, cost in influence.items()
        if call in ranges
    }
