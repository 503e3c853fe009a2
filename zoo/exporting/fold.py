"""Folds BatchNorm and normalisation into convolutions before the file is written.

Every step keeps the predictions, up to float32 rounding, and makes the graph smaller. The remaining convolutions with
bias, activations and additions are supported best by converters and runtimes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from zoo.exporting.graph import TRAINING_ONLY, Call, Graph, copy_layer, to_array

#: Value of the channel that carries the offset of a normalisation: the largest pixel value, which is exact in 8 bits.
ONES = 255.0

#: Layers that multiply by a kernel and add a bias.
LINEAR = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense, layers.Conv2DTranspose)

Array = NDArray[np.floating[Any]]


def fold(model: keras.Model) -> keras.Model:
    """Returns a model that computes the same function with fewer layers.

    Layers that are active only in training are removed. Activations of a convolution or dense layer become separate
    layers. A dense layer over a feature map becomes a 1x1 convolution, which runtimes also compute in 8 bits. Recurrent
    layers are unrolled, because runtimes differ most in loops. Normalisation to unit length avoids the inverse square
    root of zero, for which a runtime may return NaN. BatchNorm after a convolution is folded into the convolution's
    kernel and bias. Normalisation of the pixels is folded into the first convolution.

    Args:
        model: Functional model that maps raw pixels to probabilities. It is not changed.

    Returns:
        A functional model with its own weights, whose input is named ``image``.

    Raises:
        ExportError: The model has no Keras graph.
    """
    return _fold_normalisation(_fold_batch_norm(_take_apart(model)))


def scale_outputs(layer: keras.Layer, kernel: Array, scale: Array) -> NDArray[np.float32]:
    """Multiplies every output channel of the kernel of a linear layer by its entry of ``scale``."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return np.asarray(kernel * scale.reshape(kernel.shape[-2:]), np.float32)
    if isinstance(layer, layers.Conv2DTranspose):
        return np.asarray(kernel * scale[:, None], np.float32)
    return np.asarray(kernel * scale, np.float32)


def _take_apart(model: keras.Model) -> keras.Model:
    graph = Graph(model)

    def change(call: Call, values: list[Any]) -> Any:
        layer = call.operation
        if isinstance(layer, TRAINING_ONLY):
            return values[0]
        if isinstance(layer, LINEAR) and graph.called_once(call):
            over_map = type(layer) is layers.Dense and len(values[0].shape) == 4
            if layer.activation is keras.activations.linear and not over_map:
                return None
            linear = _pointwise if over_map else copy_layer
            value = linear(layer, activation="linear", name=call.name)(values[0])
            if layer.activation is keras.activations.linear:
                return value
            name = graph.free_name(f"{call.name}_activation")
            return layers.Activation(layer.activation, name=name, dtype="float32")(value)
        if isinstance(layer, layers.RNN) and not layer.unroll and call.sources[0][0].shapes[0][1]:
            return call.invoke(copy_layer(layer, unroll=True, name=call.name), values)
        if (least := _least_length(layer)) is not None:
            name = graph.free_name(f"{call.name}_length")
            return UnitLength(layer.axis, least, name=name, dtype="float32")(values[0])
        return None

    return graph.rebuild(change)


def _pointwise(dense: layers.Dense, **settings: Any) -> layers.Conv2D:
    convolution = layers.Conv2D(
        dense.units, 1, use_bias=dense.use_bias, data_format="channels_last", dtype="float32", **settings
    )
    convolution.build((None, None, None, dense.kernel.shape[0]))
    bias = [to_array(dense.bias)] if dense.use_bias else []
    convolution.set_weights([to_array(dense.kernel)[None, None], *bias])
    return convolution


@keras.saving.register_keras_serializable("zoo")
class UnitLength(layers.Layer):  # type: ignore[misc]
    """Divides by the Euclidean length along given axes. A vector shorter than ``least`` is divided by ``least``.

    Args:
        axis: One axis or several.
        least: Minimum divisor, above zero.
    """

    def __init__(self, axis: int | Sequence[int], least: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.axis = axis
        self.least = least

    def call(self, inputs: Any) -> Any:
        length = keras.ops.sum(keras.ops.square(inputs), axis=self.axis, keepdims=True)
        least = max(self.least**2, float(np.finfo(np.float32).tiny))
        return inputs * keras.ops.rsqrt(keras.ops.maximum(length, least))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "least": self.least}


def _least_length(operation: Any) -> float | None:
    """The minimum divisor of a normalisation to unit length. ``None`` if it is another operation."""
    if isinstance(operation, layers.UnitNormalization):
        return 1e-12
    if type(operation).__name__ == "Normalize" and operation.order == 2:
        return float(keras.config.epsilon() if operation.epsilon is None else operation.epsilon)
    return None


def _fold_batch_norm(model: keras.Model) -> keras.Model:
    graph = Graph(model)
    folded: dict[Call, Call] = {}
    for call in graph.calls:
        before = call.only_source
        if (
            isinstance(call.operation, layers.BatchNormalization)
            and before is not None
            and isinstance(before.operation, LINEAR)
            and before.only_user is call
            and graph.called_once(before)
            and graph.called_once(call)
            and _last_axis(call)
        ):
            folded[before] = call

    def change(call: Call, values: list[Any]) -> Any:
        if call in folded:
            return _with_norm(call, folded[call].operation)(values[0])
        return values[0] if call in folded.values() else None

    return graph.rebuild(change)


def _last_axis(call: Call) -> bool:
    axis = call.operation.axis
    return bool((axis[0] if isinstance(axis, (list, tuple)) else axis) in (-1, len(call.operation.input.shape) - 1))


def _with_norm(call: Call, norm: layers.BatchNormalization) -> keras.Layer:
    layer = call.operation
    # In float64, because gamma / sqrt(variance) of a nearly constant channel is large.
    variance = to_array(norm.moving_variance).astype(np.float64)
    gamma = to_array(norm.gamma) if norm.scale else np.ones_like(variance)
    beta = to_array(norm.beta) if norm.center else np.zeros_like(variance)
    scale = gamma / np.sqrt(variance + norm.epsilon)
    bias = to_array(layer.bias) if layer.use_bias else np.zeros_like(variance)
    folded = copy_layer(layer, with_weights=False, use_bias=True, name=call.name)
    kernel = scale_outputs(layer, to_array(layer.kernel).astype(np.float64), scale)
    folded.set_weights([kernel, beta + (bias - to_array(norm.moving_mean)) * scale])
    return folded


@dataclass(frozen=True)
class _Normalisation:
    """Layers that compute ``scale * pixel + offset``, and the convolution that reads the result."""

    calls: Sequence[Call]
    convolution: Call
    padded: bool
    scale: Array
    offset: Array


def _fold_normalisation(model: keras.Model) -> keras.Model:
    """Folds scale and offset of the pixels into the first convolution.

    If the convolution pads with zeros, the offset does not apply to the padding, so it cannot be folded into the bias.
    Instead, a fourth channel is added, which is constant inside the image and, like the other channels, zero in the
    padding. This is exact, also in 8 bits, and still needs only one convolution.
    """
    graph = Graph(model)
    found = _find_normalisation(graph)
    if found is None:
        return model
    constant = found.padded and bool(np.any(found.offset))

    def change(call: Call, values: list[Any]) -> Any:
        if call in found.calls:
            if constant and call is found.calls[0]:
                return keras.ops.pad(values[0], ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=ONES)
            return values[0]
        if call is found.convolution:
            return _with_normalisation(call.operation, found, constant, values[0].shape)(values[0])
        return None

    return graph.rebuild(change)


def _find_normalisation(graph: Graph) -> _Normalisation | None:
    scale: Array = np.ones(3, np.float64)
    offset: Array = np.zeros(3, np.float64)
    calls: list[Call] = []
    call = graph.input.only_user
    while call is not None and isinstance(call.operation, (layers.Rescaling, layers.Normalization)):
        affine = _affine(call.operation)
        if affine is None:
            return None
        scale, offset = scale * affine[0], offset * affine[0] + affine[1]
        calls.append(call)
        call = call.only_user
    padded = call is not None and isinstance(call.operation, layers.ZeroPadding2D)
    if padded:
        assert call is not None
        call = call.only_user
    if not calls or call is None or not isinstance(call.operation, layers.Conv2D) or not graph.called_once(call):
        return None
    layer = call.operation
    if layer.groups != 1 or layer.data_format != "channels_last":
        return None
    padded = padded or (layer.padding == "same" and max(layer.kernel_size) > 1)
    return _Normalisation(calls, call, padded, scale, offset)


def _affine(layer: keras.Layer) -> tuple[Array, Array] | None:
    """Scale and offset of each colour, if the layer is affine."""
    if isinstance(layer, layers.Rescaling):
        scale: Array = np.asarray(layer.scale, np.float64)
        offset: Array = np.asarray(layer.offset, np.float64)
    else:
        mean, deviation = to_array(layer.mean), np.maximum(np.sqrt(to_array(layer.variance)), keras.config.epsilon())
        scale, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    if scale.size not in (1, 3) or offset.size not in (1, 3):
        return None
    return np.broadcast_to(scale.reshape(-1), (3,)), np.broadcast_to(offset.reshape(-1), (3,))


def _with_normalisation(
    layer: layers.Conv2D, found: _Normalisation, constant: bool, shape: tuple[int | None, ...]
) -> layers.Conv2D:
    kernel: Array = to_array(layer.kernel).astype(np.float64)
    offset = (kernel * found.offset[:, None]).sum(axis=2, keepdims=True)
    bias: Array = to_array(layer.bias).astype(np.float64) if layer.use_bias else np.zeros(layer.filters)
    kernel = kernel * found.scale[:, None]
    if constant:
        kernel = np.concatenate([kernel, offset / ONES], axis=2)
    else:
        bias = bias + offset.sum(axis=(0, 1, 2))
    folded = layers.Conv2D.from_config(layer.get_config() | {"use_bias": True, "dtype": "float32"})
    folded.build(shape)
    folded.set_weights([kernel.astype(np.float32), bias.astype(np.float32)])
    return folded
