"""Rounding weights to 8 bits so that the layer's output, not each weight, stays close.

Every output channel has a step of its own, its largest weight 127 steps from zero. Weights are rounded one input after
the other, and what each rounding loses is made up for by those still to come, as the inputs that calibration images
gave say best: GPTQ (Frantar, Ashkboos, Hoefler, Alistarh: GPTQ, ICLR 2023, algorithm 1), which is Optimal Brain
Surgeon applied to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from zoo.exporting.graph import to_array

Array = NDArray[np.float64]

#: Largest stored weight; -128 is left out, as runtimes ask for.
LARGEST = 127
#: Rows of inputs that are looked at.
_ROWS = 6_000
#: Share of the mean diagonal added to the inputs' second moments, so that they can be inverted.
_DAMPING = 0.01
_BLOCK = 64
#: Weights an output may have; simple_cnn at 224 px has 50176, whose matrix would take 20 GB.
_MOST_INPUTS = 4608


def fake_quantize(values: Any, low: float, high: float) -> Any:
    """Values rounded to one of 256 from ``low`` to ``high``, moved a little so that zero is one of them."""
    import tensorflow as tf

    return tf.quantization.fake_quant_with_min_max_args(values, low, high)


def steps(layer: Any) -> Array:
    """The step of each output channel, broadcast against the kernel; its largest weight is 127 of them."""
    kernel = to_array(layer.kernel).astype(np.float64)
    axes = (0, 1) if isinstance(layer, layers.DepthwiseConv2D) else tuple(range(kernel.ndim - 1))
    if isinstance(layer, layers.Conv2DTranspose):
        axes = (0, 1, 3)
    return np.asarray(np.maximum(np.abs(kernel).max(axis=axes, keepdims=True), 1e-12) / LARGEST)


def round_nearest(layer: Any) -> NDArray[np.float32]:
    """The kernel with every weight at the nearest step of its output channel."""
    step = steps(layer)
    return np.asarray(np.round(to_array(layer.kernel) / step) * step, np.float32)


def round_to_inputs(layer: Any, inputs: Any) -> NDArray[np.float32]:
    """The kernel of a convolution or dense layer, rounded so that its outputs on ``inputs`` stay close.

    A depthwise layer, with nine weights a channel, is rounded to the nearest: the rest brought nothing. So is one of
    very many inputs, such as a dense layer on a flattened picture: a matrix of inputs by inputs is needed otherwise.

    Args:
        layer: Keras layer.
        inputs: What it reads, float32 ``(n, height, width, channels)`` or ``(n, channels)``.
    """
    if not isinstance(layer, (layers.Conv2D, layers.Dense)) or getattr(layer, "groups", 1) != 1:
        return round_nearest(layer)
    kernel = to_array(layer.kernel)
    if kernel[..., 0].size > _MOST_INPUTS:
        return round_nearest(layer)
    rows = _rows(layer, inputs)
    weights = kernel.reshape(-1, kernel.shape[-1])
    return round_matrix(weights, rows).reshape(kernel.shape).astype(np.float32)


def round_matrix(weights: NDArray[np.float32], rows: NDArray[np.float32]) -> Array:
    """GPTQ on a matrix.

    Args:
        weights: ``(inputs, outputs)``.
        rows: Samples of the inputs, ``(n, inputs)``.

    Returns:
        Multiples of each output's step, of which one at least is 127 steps: so that whoever stores them finds the step.
    """
    moments = (rows.T @ rows).astype(np.float64) / len(rows)
    moments[np.diag_indices_from(moments)] += np.diag(moments).mean() * _DAMPING + 1e-12
    order = np.argsort(-np.diag(moments))  # what matters most is rounded first, while the others can still make up
    remaining = weights[order].astype(np.float64)
    largest = np.abs(remaining).argmax(axis=0)
    step = np.maximum(np.abs(remaining).max(axis=0), 1e-12) / LARGEST
    steps = _best_steps(remaining, np.diag(moments)[order], step)
    factor = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    rounded = np.empty_like(remaining)
    for start in range(0, len(remaining), _BLOCK):
        stop = min(start + _BLOCK, len(remaining))
        lost = np.empty((stop - start, remaining.shape[1]))
        for row in range(start, stop):
            stored = np.clip(np.round(remaining[row] / steps), -LARGEST, LARGEST)
            stored = np.where(largest == row, np.copysign(LARGEST, weights[order[row]]), stored)
            rounded[row] = stored * steps
            lost[row - start] = (remaining[row] - rounded[row]) / factor[row, row]
            remaining[row + 1 : stop] -= np.outer(factor[row, row + 1 : stop], lost[row - start])
        remaining[stop:] -= factor[start:stop, stop:].T @ lost
    result = np.empty_like(rounded)
    result[order] = rounded
    return result


def _best_steps(weights: Array, importance: Array, step: Array) -> Array:
    """For each output the step that loses least when its largest weights are clipped."""
    best, least = step, np.full(weights.shape[1], np.inf)
    for share in np.linspace(0.75, 1, 26).tolist():
        rounded = np.clip(np.round(weights / (step * share)), -LARGEST, LARGEST) * step * share
        lost = importance @ (weights - rounded) ** 2
        best, least = np.where(lost < least, step * share, best), np.minimum(lost, least)
    return best


def _rows(layer: Any, inputs: Any) -> NDArray[np.float32]:
    """What the layer multiplies its kernel with, one row an output position, a seeded choice of them."""
    random = np.random.default_rng(0)
    wanted = -(-_ROWS // len(inputs))  # of an image: the patches of all images at once may not fit in memory
    chosen = []
    for image in range(len(inputs)):
        rows = _patches(layer, inputs[image : image + 1])
        chosen.append(rows if len(rows) <= wanted else rows[random.choice(len(rows), wanted, replace=False)])
    return np.concatenate(chosen)


def _patches(layer: Any, image: Any) -> NDArray[np.float32]:
    if isinstance(layer, layers.Conv2D) and layer.kernel_size != (1, 1):
        image = ops.image.extract_patches(
            image, layer.kernel_size, strides=layer.strides, dilation_rate=layer.dilation_rate, padding=layer.padding
        )
    elif isinstance(layer, layers.Conv2D):
        image = image[:, :: layer.strides[0], :: layer.strides[1]]
    return np.asarray(ops.convert_to_numpy(ops.reshape(image, (-1, image.shape[-1]))))
