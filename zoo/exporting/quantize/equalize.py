"""Cross-layer equalisation: channels are scaled so that all channels of an activation tensor make use of its 8 bits.

All channels of an activation tensor are stored with the same step. A channel whose values are all near zero is then
represented by only a few of the 256 values. Multiplying the channel in the layer that computes it, and dividing it in
the layers that read it, changes nothing in real numbers and reduces the error of rounding (Nagel, van Baalen,
Blankevoort, Welling: Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019). Here, the
scales are chosen by the ranges of activations and not of weights, because weights already have a step per output
channel. The ranges are measured on calibration images. The noise of a channel is weighted by its influence on the
logits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from keras import layers
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from zoo.exporting.fold import LINEAR, scale_outputs
from zoo.exporting.graph import Call, Graph, to_array
from zoo.exporting.quantize.forward import cap, is_relu
from zoo.exporting.quantize.ranges import Channels

Array = NDArray[np.float64]

#: Maximum factor of a channel.
_LARGEST = 16.0
#: Multiple of the largest observed value up to which a capped ReLU must not clip.
_ROOM = 1.05
#: Noise of weights rounded with GPTQ, as a share of the noise of weights rounded to the nearest.
_LEFT_BY_GPTQ = 0.1
#: Exponent of the smooth maximum over channels. The larger it is, the closer the result is to the maximum.
_SHARPNESS = 30.0

_POOLING = (layers.GlobalAveragePooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D)
_MOVING = (layers.ZeroPadding2D, layers.Cropping2D, layers.MaxPooling2D)


@dataclass
class Space:
    """Tensors that must have the same scales, because sums, pooling and activations connect their channels.

    Args:
        calls: The calls whose outputs they are.
        makers: Linear layers that compute them.
        users: Linear layers that read them.
        cap: Upper limit of a ReLU among them; infinite if there is none.
        fixed: Whether a call that cannot take a scale reads or computes them.
    """

    calls: list[Call] = field(default_factory=list)
    makers: list[Call] = field(default_factory=list)
    users: list[Call] = field(default_factory=list)
    cap: float = np.inf
    fixed: bool = False


def equalize(graph: Graph, channels: dict[Call, Channels], influence: dict[Call, Array] | None = None) -> None:
    """Scales the channels of a model in place.

    Args:
        graph: Graph of a folded model, whose kernels and biases are changed. Its predictions do not change, unless an
            image has larger values than all measured images and a capped ReLU now clips them.
        channels: Result of ``measure_channels``, which is changed along with the model.
        influence: Result of ``measure_influence``, which is changed along with the model. Without it, noise is weighted
            by the kernels that read the channel.
    """
    influence = {} if influence is None else influence
    for space in find_spaces(graph):
        watched = {call: channels[call] for call in space.calls if call in channels}
        if space.fixed or not space.makers or not space.users or not watched:
            continue
        scale = best_scale(space, watched, influence)
        for call in space.makers:
            layer = call.operation
            layer.kernel.assign(scale_outputs(layer, to_array(layer.kernel), scale))
            if layer.use_bias:
                layer.bias.assign(to_array(layer.bias) * scale)
        for call in space.users:
            kernel = to_array(call.operation.kernel)
            call.operation.kernel.assign(kernel / scale[:, None])
        for seen in watched.values():
            seen.scale(scale)
        for call in space.calls:
            if call in influence:
                influence[call] = influence[call] / scale**2


def find_spaces(graph: Graph) -> list[Space]:
    """Groups the tensors of a model. The tensors of a group must have the same scales."""
    roots: dict[Call, Call] = {call: call for call in graph.calls}

    def root(call: Call) -> Call:
        while roots[call] is not call:
            roots[call] = roots[roots[call]]
            call = roots[call]
        return call

    fixed = {graph.input, graph.output[0]}
    for call in graph.calls[1:]:
        operation, sources = call.operation, [source for source, _ in call.sources]
        if _takes_scales(graph, call):
            continue
        channels = {shape[-1] for shape in (*call.shapes, *(source.shapes[0] for source in sources))}
        if len(channels) == 1 and (is_relu(operation) or isinstance(operation, (layers.Add, *_POOLING, *_MOVING))):
            for source in sources:
                roots[root(source)] = root(call)
        else:
            fixed |= {call, *sources}
    spaces: dict[Call, Space] = {root(call): Space() for call in graph.calls}
    for call in graph.calls:
        space = spaces[root(call)]
        space.calls.append(call)
        space.fixed |= call in fixed
        if is_relu(call.operation):
            space.cap = min(space.cap, cap(call.operation))
        if isinstance(call.operation, LINEAR):
            space.makers.append(call)
            for source, _ in call.sources:
                spaces[root(source)].users.append(call)
    return list(spaces.values())


def best_scale(space: Space, watched: dict[Call, Channels], influence: dict[Call, Array]) -> Array:
    """The scale of each channel with the least noise, of rounded values and rounded weights together.

    The candidates are powers of the scale with the least noise of rounded values alone. The exponents are from 0 (no
    change) to 1.

    Args:
        space: Tensors that share the scale.
        watched: Statistics of their channels.
        influence: For each channel of a tensor, the variance of the logits for each unit of its variance.
    """
    known = all(call in influence and influence[call].any() for call in (*watched, *space.users))
    readers = [_Reader(call, influence[call] if known else None) for call in space.users]
    local = np.sum([reader.squares for reader in readers], axis=0) + 1e-12
    capped = bool(np.isfinite(space.cap))
    tensors = [_Tensor(seen, influence[call] if known else local, capped) for call, seen in watched.items()]
    full = _least_noise(tensors, _limit(space, tensors))
    square = np.max([seen.square for seen in watched.values()], axis=0)

    def noise(scale: Array) -> float:
        values = sum(tensor.noise(scale) for tensor in tensors)
        return values + _LEFT_BY_GPTQ * sum(reader.noise(scale, square) for reader in readers)

    return min((full**power for power in np.linspace(0, 1, 11).tolist()), key=noise)


class _Tensor:
    """A tensor that is stored in 8 bits.

    Args:
        seen: Statistics of its channels.
        influence: Cost of a unit of noise in each channel.
        capped: Whether a capped ReLU clips large values, so that outliers count.
    """

    def __init__(self, seen: Channels, influence: Array, capped: bool) -> None:
        reach = seen.largest if capped else seen.reach
        self.reach = np.maximum(reach, max(reach.max(), 1e-12) * 1e-4)
        self.sides = 2 if seen.low.min() < 0 else 1  # of zero that the range covers
        self.influence = influence

    def noise(self, scale: Array) -> float:
        step = float((scale * self.reach).max()) * self.sides / 255
        return float(step**2 / 12 * (self.influence / scale**2).sum())


class _Reader:
    """A layer that reads a tensor.

    Args:
        call: Its call.
        influence: Cost of a unit of noise in each of its output channels. ``None``: the cost is the same in all.
    """

    def __init__(self, call: Call, influence: Array | None) -> None:
        kernel = to_array(call.operation.kernel).astype(np.float64)
        self.taps = kernel.reshape(-1, *kernel.shape[-2:])
        self.squares = (self.taps**2).sum(axis=(0, 2))
        self.influence = influence
        self.depthwise = isinstance(call.operation, layers.DepthwiseConv2D)

    def noise(self, scale: Array, square: Array) -> float:
        """Noise from rounding its weights to the nearest. ``square`` is the mean square of the unscaled inputs."""
        if self.depthwise:  # it has a step for every channel, so scaling does not change its rounding
            return 0.0
        steps = np.abs(self.taps / scale[:, None]).max(axis=(0, 1)) / 127
        cost = (steps**2).sum() if self.influence is None else (self.influence * steps**2).sum()
        return float(cost / 12 * len(self.taps) * (scale**2 * square).sum())


def _limit(space: Space, tensors: list[_Tensor]) -> Array:
    """The largest scale of each channel."""
    reach = np.max([tensor.reach for tensor in tensors], axis=0)
    if not np.isfinite(space.cap):
        return np.asarray(np.minimum(reach.max() / reach, _LARGEST))
    # The cap does not change: a channel may be scaled up to it, and a channel that reaches it is not scaled.
    return np.asarray(np.where(reach >= space.cap * 0.95, 1.0, np.clip(space.cap / (_ROOM * reach), 1.0, _LARGEST)))


def _least_noise(tensors: list[_Tensor], limit: Array) -> Array:
    """The scale, from 1 to ``limit``, with the least noise of rounded values.

    For one tensor this is the limit. If several tensors share the scale, each may have its largest values in different
    channels. The noise is then a sum of products of powers of scales and steps, so it is convex in their logarithms (a
    geometric programme).
    """
    if len(tensors) == 1:
        return limit
    most = np.log(limit)
    reaches = [np.log(tensor.reach) for tensor in tensors]

    def loss(logs: Array) -> tuple[float, Array]:
        total, slope = 0.0, np.zeros_like(logs)
        for tensor, reach in zip(tensors, reaches, strict=True):
            reached = _SHARPNESS * (logs + reach)
            each = tensor.sides**2 * np.exp(2 * logsumexp(reached) / _SHARPNESS - 2 * logs) * tensor.influence
            total += float(each.sum())
            slope += 2 * softmax(reached) * each.sum() - 2 * each
        return float(np.log(total)), slope / total

    found = minimize(loss, most, jac=True, method="L-BFGS-B", bounds=[(0.0, high) for high in most.tolist()])
    return np.asarray(np.exp(found.x))


def _takes_scales(graph: Graph, call: Call) -> bool:
    """Whether a call is a linear layer whose kernel can take a scale for every input channel and output channel."""
    layer = call.operation
    if not isinstance(layer, LINEAR) or isinstance(layer, layers.Conv2DTranspose) or not graph.called_once(call):
        return False
    if isinstance(layer, layers.DepthwiseConv2D):
        return bool(layer.depth_multiplier == 1)
    return bool(getattr(layer, "groups", 1) == 1)
