"""Rounds weights to 8 bits so that the output of the layer, instead of each weight, changes as little as possible.

Every output channel has its own step, and its largest weight is stored as 127 steps. The weights are rounded one input
after the other. The error of each rounding is compensated by the weights that are not yet rounded, as well as possible
for the inputs measured on calibration images: GPTQ (Frantar, Ashkboos, Hoefler, Alistarh: GPTQ, ICLR 2023, algorithm
1), which is Optimal Brain Surgeon applied to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from zoo.exporting.graph import to_array

Array = NDArray[np.float64]

#: Largest stored weight. -128 is not used, because runtimes require a symmetric range.
LARGEST = 127
#: Number of steps between the ends of an 8-bit range.
LEVELS = 255
#: Maximum number of rows of inputs that are used.
_ROWS = 6_000
#: Share of the mean diagonal added to the inputs' second moments, so that they can be inverted.
_DAMPING = 0.01
_BLOCK = 64
#: If an output has more weights than the first number, GPTQ uses a matrix of rows by rows instead of inputs by inputs,
#: and the second number of rows. simple_cnn at 224 px has 50176 inputs. A matrix of inputs by inputs would take 20 GB.
_MOST_INPUTS, _WIDE_ROWS = 4608, 256
#: Shares of the largest weight at which weights are clipped on trial, starting with 1: first in small intervals, which
#: clip a few weights slightly, then down to a thousandth, for a single weight that is far from all others.
_SHARES = (*np.linspace(1, 0.75, 26).tolist(), *(0.75 * 0.7 ** np.arange(1, 20)).tolist())


def fake_quantize(values: Any, low: float, high: float) -> Any:
    """Rounds values to 256 levels from ``low`` to ``high``, which are shifted slightly so that zero is one of them."""
    import tensorflow as tf

    return tf.quantization.fake_quant_with_min_max_args(values, low, high)


def fake_quantize_scaled(values: Any, step: Any, zero: int) -> Any:
    """Rounds values to 256 levels with a step that can be trained.

    The gradient of the step is that of Learned Step Size Quantization (Esser et al. 2020): the rounding error of a
    value within the range, and the limit of the range for a value beyond it, divided by the step.

    Args:
        values: float32 tensor of any shape.
        step: float32 scalar tensor, the distance of two levels in units of the values.
        zero: Level that stores zero, 0 to 255.

    Returns:
        The rounded values, float32 of the same shape.
    """
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def rounded_by(values: Any, step: Any) -> Any:
        low, high = -zero * step, (LEVELS - zero) * step
        rounded = tf.quantization.fake_quant_with_min_max_vars(values, low, high)

        def gradient(upstream: Any) -> tuple[Any, Any]:
            inside = (values >= low) & (values <= high)
            of_step = tf.reduce_sum(upstream * tf.where(inside, rounded - values, rounded)) / step
            return tf.where(inside, upstream, 0.0), of_step

        return rounded, gradient

    return rounded_by(values, step)


def steps(layer: Any) -> Array:
    """The step of each output channel, in a shape that broadcasts to the kernel. Its largest weight is 127 steps."""
    kernel = to_array(layer.kernel).astype(np.float64)
    axes = (0, 1) if isinstance(layer, layers.DepthwiseConv2D) else tuple(range(kernel.ndim - 1))
    if isinstance(layer, layers.Conv2DTranspose):
        axes = (0, 1, 3)
    return np.asarray(np.maximum(np.abs(kernel).max(axis=axes, keepdims=True), 1e-12) / LARGEST)


def round_nearest(layer: Any) -> NDArray[np.float32]:
    """The kernel with every weight rounded to the nearest multiple of the step of its output channel."""
    step = steps(layer)
    return np.asarray(np.round(to_array(layer.kernel) / step) * step, np.float32)


def round_to_inputs(layer: Any, inputs: Any) -> NDArray[np.float32]:
    """The kernel of a convolution or dense layer, rounded so that its outputs on ``inputs`` stay close.

    A depthwise layer, which has nine weights per channel, is rounded to the nearest, because GPTQ did not improve it.

    Args:
        layer: Keras layer.
        inputs: Inputs of the layer, float32 ``(n, height, width, channels)`` or ``(n, channels)``.
    """
    if not isinstance(layer, (layers.Conv2D, layers.Dense)) or getattr(layer, "groups", 1) != 1:
        return round_nearest(layer)
    kernel = to_array(layer.kernel)
    wide = kernel[..., 0].size > _MOST_INPUTS
    rows = _rows(layer, inputs, _WIDE_ROWS if wide else _ROWS)
    weights = kernel.reshape(-1, kernel.shape[-1])
    rounded = (round_wide_matrix if wide else round_matrix)(weights, rows)
    return rounded.reshape(kernel.shape).astype(np.float32)


def round_matrix(weights: NDArray[np.float32], rows: NDArray[np.float32]) -> Array:
    """GPTQ on a matrix.

    Args:
        weights: ``(inputs, outputs)``.
        rows: Samples of the inputs, ``(n, inputs)``.

    Returns:
        Multiples of the step of each output. At least one of them is 127 steps, so that a converter can compute the
        step.
    """
    moments = (rows.T @ rows).astype(np.float64) / len(rows)
    importance = _importance(rows)
    moments[np.diag_indices_from(moments)] += _damping(importance)
    # The most important weights are rounded first, while the others can still compensate.
    order = np.argsort(-importance)
    remaining = weights[order].astype(np.float64)
    store = _Store(remaining, importance[order])
    factor = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    rounded = np.empty_like(remaining)
    for start in range(0, len(remaining), _BLOCK):
        stop = min(start + _BLOCK, len(remaining))
        block = slice(start, stop)
        rounded[block], lost = _round_block(store, start, remaining[block], factor[block, block])
        remaining[stop:] -= factor[block, stop:].T @ lost
    result = np.empty_like(rounded)
    result[order] = rounded
    return result


def round_wide_matrix(weights: NDArray[np.float32], rows: NDArray[np.float32]) -> Array:
    """``round_matrix`` for more inputs than rows. The result is the same, computed from matrices of rows by rows.

    The shift of the outputs on ``rows`` due to the rounding so far is known. The weights that are not yet rounded
    compensate for this shift in the least-squares sense, with the same damping, which needs one equation for each row.
    The part of the inverse of the damped moments that a block needs follows from the inverse of ``free @ free.T +
    damping`` (the Woodbury identity).
    """
    importance = _importance(rows)
    damping = _damping(importance)
    order = np.argsort(-importance)
    original = weights[order].astype(np.float64)
    columns = rows.T[order].astype(np.float64) / np.sqrt(len(rows))
    store = _Store(original, importance[order])
    rounded = np.empty_like(original)
    shifted = np.zeros((len(rows), original.shape[1]))
    gram = columns.T @ columns + damping * np.eye(len(rows))
    for start in range(0, len(original), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(original)))
        own = columns[block]
        solved = np.linalg.solve(gram, np.hstack([own.T, shifted]))
        inverse = (np.eye(len(own)) - own @ solved[:, : len(own)]) / damping
        remaining = original[block] - own @ solved[:, len(own) :]
        rounded[block], _ = _round_block(store, start, remaining, np.linalg.cholesky((inverse + inverse.T) / 2).T)
        shifted += own.T @ (rounded[block] - original[block])
        gram -= own.T @ own
    result = np.empty_like(rounded)
    result[order] = rounded
    return result


def _round_block(store: _Store, start: int, remaining: Array, factor: Array) -> tuple[Array, Array]:
    """Rounds the weights of some inputs. Each input compensates for the rounding of those before it.

    Args:
        store: Rounds the weights of one input.
        start: Position of the first input.
        remaining: The weights, changed by the compensation so far, ``(inputs, outputs)``. This array is modified.
        factor: Upper triangular. Its transpose times itself is the inverse of the damped moments of the inputs that are
            not yet rounded.

    Returns:
        The rounded weights, and the multiples of the factor's rows that must be subtracted from the weights after them.
    """
    rounded, lost = np.empty_like(remaining), np.empty_like(remaining)
    for row in range(len(remaining)):
        rounded[row] = store.rounded(start + row, remaining[row])
        lost[row] = (remaining[row] - rounded[row]) / factor[row, row]
        remaining[row + 1 :] -= np.outer(factor[row, row + 1 :], lost[row])
    return rounded, lost


def _damping(importance: Array) -> float:
    return float(importance.mean() * _DAMPING + 1e-12)


class _Store:
    """Rounds the weights of one input at a time.

    Args:
        weights: The weights in the order in which they are rounded, ``(inputs, outputs)``.
        importance: Mean square of each input.
    """

    def __init__(self, weights: Array, importance: Array) -> None:
        self.largest = np.abs(weights).argmax(axis=0)
        self.signs = np.sign(weights[self.largest, np.arange(weights.shape[1])])
        self.steps = _best_steps(weights, importance)

    def rounded(self, place: int, values: Array) -> Array:
        """Returns multiples of the steps. The largest weight of an output is always 127 or -127 steps."""
        stored = np.clip(np.round(values / self.steps), -LARGEST, LARGEST)
        return np.asarray(
            np.where(self.largest == place, np.where(self.signs < 0, -LARGEST, LARGEST), stored) * self.steps
        )


def _importance(rows: NDArray[np.float32]) -> Array:
    """Mean square of each input, plus that of its rounding error, because an input stored as 0 may differ from 0."""
    step = float(max(rows.max(), 0.0) - min(rows.min(), 0.0)) / LEVELS
    return np.asarray(np.square(rows, dtype=np.float64).mean(axis=0) + step**2 / 12)


def _best_steps(weights: Array, importance: Array) -> Array:
    """For each output, the step with the least total error of rounding and clipping.

    Args:
        weights: ``(inputs, outputs)``.
        importance: Mean square of each input.
    """
    step = np.maximum(np.abs(weights).max(axis=0), 1e-12) / LARGEST
    best, least = step, np.full(len(step), np.inf)
    for share in _SHARES:
        rounded = np.clip(np.round(weights / (step * share)), -LARGEST, LARGEST) * step * share
        lost = importance @ np.square(weights - rounded)
        best, least = np.where(lost < least, step * share, best), np.minimum(lost, least)
    return np.asarray(best)


def _rows(layer: Any, inputs: Any, count: int) -> NDArray[np.float32]:
    """The inputs that the layer multiplies with its kernel, one row per output position. About ``count`` are used."""
    random = np.random.default_rng(0)
    wanted = -(-count // len(inputs))  # one image at a time, because the patches of all images may not fit into memory
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
