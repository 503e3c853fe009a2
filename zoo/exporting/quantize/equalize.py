"""Cross-layer equalisation: channels are scaled so that all of them use the 8 bits that they share.

One step between neighbouring values serves all channels of a tensor. A channel that stays near zero is then a handful
of values. Multiplying it where it is made and dividing it where it is used changes nothing in real numbers (Nagel, van
Baalen, Blankevoort, Welling: Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV 2019), and
leaves less of it to rounding. Here the ranges of activations decide, measured on calibration images: weights are
stored with a step per output channel already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from keras import layers
from numpy.typing import NDArray

from zoo.exporting.fold import LINEAR, scale_outputs
from zoo.exporting.graph import Call, Graph, to_array
from zoo.exporting.quantize.forward import cap, is_relu
from zoo.exporting.quantize.ranges import Channels

Array = NDArray[np.float64]

#: Maximum factor of a channel.
_LARGEST = 16.0
#: Margin above the largest observed value, below which a capped ReLU must not clip.
_ROOM = 1.05

_POOLING = (layers.GlobalAveragePooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D)
_MOVING = (layers.ZeroPadding2D, layers.Cropping2D, layers.MaxPooling2D)


@dataclass
class Space:
    """Tensors that must be scaled alike, because sums, pooling and activations tie their channels together.

    Args:
        calls: Whose outputs they are.
        makers: Linear layers that make them.
        users: Linear layers that read them.
        cap: Upper limit of a ReLU among them; infinite if there is none.
        fixed: Whether something reads or makes them that cannot take a scale.
    """

    calls: list[Call] = field(default_factory=list)
    makers: list[Call] = field(default_factory=list)
    users: list[Call] = field(default_factory=list)
    cap: float = np.inf
    fixed: bool = False


def equalize(graph: Graph, channels: dict[Call, Channels]) -> None:
    """Scales the channels of a model in place.

    Args:
        graph: Graph of a folded model, whose kernels and biases are changed. Its predictions do not change, except for
            outliers that a capped ReLU
            now cuts.
        channels: What ``measure_channels`` found; changed along with the model.
    """
    for space in find_spaces(graph):
        watched = [channels[call] for call in space.calls if call in channels]
        if space.fixed or not space.makers or not space.users or not watched:
            continue
        scale = best_scale(space, watched)
        for call in space.makers:
            layer = call.operation
            layer.kernel.assign(scale_outputs(layer, to_array(layer.kernel), scale))
            if layer.use_bias:
                layer.bias.assign(to_array(layer.bias) * scale)
        for call in space.users:
            kernel = to_array(call.operation.kernel)
            call.operation.kernel.assign(kernel / scale[:, None])
        for seen in watched:
            seen.scale(scale)


def find_spaces(graph: Graph) -> list[Space]:
    """The tensors of a model, sorted into those that share their channels' scales."""
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


def best_scale(space: Space, watched: Iterable[Channels]) -> Array:
    """The scale of each channel that leaves the least noise behind, of rounded values and rounded weights together.

    Candidates are powers of (largest reach / reach of the channel), from no change to full use of the range.

    Args:
        space: Tensors that share the scale.
        watched: What their channels were seen to hold.
    """
    watched = list(watched)
    reach = np.max([seen.reach for seen in watched], axis=0)
    square = np.max([seen.square for seen in watched], axis=0)
    reach = np.maximum(reach, max(reach.max(), 1e-12) * 1e-4)
    full = space.cap if np.isfinite(space.cap) else float(reach.max())
    sides = 2 if min(seen.low.min() for seen in watched) < 0 else 1  # around zero, that the range of values covers
    kernels = [to_array(call.operation.kernel).astype(np.float64) for call in space.users]
    depthwise = [isinstance(call.operation, layers.DepthwiseConv2D) for call in space.users]

    def scale(power: float) -> Array:
        wanted = np.minimum((full / reach) ** power, _LARGEST)
        if not np.isfinite(space.cap):
            return np.asarray(wanted)
        # The cap does not change: a channel may be scaled up to it, and a channel that reaches it is not scaled.
        return np.asarray(np.where(reach >= full * 0.95, 1.0, np.clip(wanted, 1.0, full / (_ROOM * reach))))

    def noise(scale: Array) -> float:
        step = float((scale * reach).max()) * sides / 255
        total = 0.0
        for kernel, per_channel in zip(kernels, depthwise, strict=True):
            taps = kernel.reshape(-1, *kernel.shape[-2:])
            total += float((step**2 * (taps**2).sum(axis=(0, 2)) / scale**2).sum())
            if (
                not per_channel
            ):  # a depthwise kernel has a step for every channel, so scaling does not change its rounding
                steps = np.abs(taps / scale[:, None]).max(axis=(0, 1)) / 127
                total += float((steps**2).sum() * len(taps) * (scale**2 * square).sum())
        return total

    return min((scale(power) for power in np.linspace(0, 1, 11).tolist()), key=noise)


def _takes_scales(graph: Graph, call: Call) -> bool:
    """Whether a call is a linear layer whose kernel can take a scale for every channel it reads and makes."""
    layer = call.operation
    if not isinstance(layer, LINEAR) or isinstance(layer, layers.Conv2DTranspose) or not graph.called_once(call):
        return False
    if isinstance(layer, layers.DepthwiseConv2D):
        return bool(layer.depth_multiplier == 1)
    return bool(getattr(layer, "groups", 1) == 1)
