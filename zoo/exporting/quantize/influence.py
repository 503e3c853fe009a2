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
from zoo.exporting.quantize.forward import Pixels, channel_axes, run, run_compiled
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
    random = tf.random.Generator.from_seed(0)
    measured: list[Call] = []

    def measure(image: Any) -> list[Any]:
        values: dict[Call, Any] = {}

        def visit(call: Call, sources: list[Any]) -> Any:
            value = call.invoke(call.operation, sources)
            if call in watched or call is logits:
                values[call] = value
            return value

        with tf.GradientTape() as tape:
            tape.watch(image)
            run(graph, image, visit)
            # Softmax does not depend on the mean of all logits.
            scores = values[logits] - ops.mean(values[logits], axis=-1, keepdims=True)
            signs = 2 * tf.cast(random.uniform(tf.shape(scores), 0, 2, tf.int32), tf.float32) - 1
            total = ops.sum(scores * signs)
        slopes = dict(zip(values, tape.gradient(total, list(values.values())), strict=True))
        measured[:] = [call for call, slope in slopes.items() if call in watched and slope is not None]
        return [ops.sum(ops.square(slopes[call]), axis=channel_axes(slopes[call])) for call in measured]

    parts = [part for _, part in run_compiled(images, measure, _BATCH)]
    classes = logits.shapes[0][-1] or 1
    totals = [np.sum(squares, axis=0, dtype=np.float64) for squares in zip(*parts, strict=True)]
    return {call: np.asarray(total / (len(images) * classes)) for call, total in zip(measured, totals, strict=True)}


def predicted_noise(influence: dict[Call, Array], ranges: dict[Call, Range]) -> dict[Call, float]:
    """For each tensor, the variance of a logit that its rounding to 8 bits causes, to first order."""
    return {
        call: float(cost.sum() * ((ranges[call][1] - ranges[call][0]) / 255) ** 2 / 12)
        for call, cost in influence.items()
        if call in ranges
    }
