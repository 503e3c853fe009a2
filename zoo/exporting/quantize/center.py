"""Centring: channels are shifted so that the values of each reach as far below zero as above.

All channels of a tensor are stored with one range, from the smallest value of any channel to the largest. If the values
of a channel lie mostly on one side of zero, as is possible without a ReLU, the channel uses only half of this range.
Therefore the middle of the channel is subtracted in the bias of the layer that computes it, and added in the biases of
the convolutions that read it. This changes nothing in real numbers, and allows a larger scale of the channel in
equalisation (Wei et al.: Outlier Suppression+, EMNLP 2023, where channels of language models are shifted and scaled).
"""

from __future__ import annotations

import numpy as np
from keras import layers
from numpy.typing import NDArray

from zoo.exporting.fold import LINEAR
from zoo.exporting.graph import Call, Graph, to_array
from zoo.exporting.quantize.equalize import Space, find_spaces
from zoo.exporting.quantize.ranges import Channels

Array = NDArray[np.float64]


def center(graph: Graph, channels: dict[Call, Channels]) -> None:
    """Shifts the channels of a model in place. Its predictions do not change.

    Args:
        graph: Graph of a folded model, whose biases are changed.
        channels: Result of ``measure_channels``, which is changed along with the model.
    """
    for space in find_spaces(graph):
        if not _takes_shifts(space):
            continue
        parts = _parts(space)
        watched = [call for call in space.calls if call in channels]
        # Some tensors are sums of others, so their shifts depend on each other. These shifts bring the middles of all
        # tensors as close to zero as possible.
        ties = np.stack([parts[call] for call in watched])
        middles = np.stack([channels[call].middle for call in watched])
        shifts, *_ = np.linalg.lstsq(ties, middles)
        for call, shift in zip(space.makers, shifts, strict=True):
            call.operation.bias.assign(to_array(call.operation.bias) - shift)
        for call in watched:
            channels[call].shift(-(parts[call] @ shifts))
        for call in space.users:
            layer = call.operation
            (source,) = (source for source, _ in call.sources)
            kernel = to_array(layer.kernel).astype(np.float64)
            layer.bias.assign(to_array(layer.bias) + (parts[source] @ shifts) @ kernel.reshape(-1, kernel.shape[-1]))


def _takes_shifts(space: Space) -> bool:
    """Whether there are only sums between the makers and the users of a space, and no user pads its input."""
    return (
        not space.fixed
        and bool(space.makers and space.users)
        and all(isinstance(call.operation, (*LINEAR, layers.Add)) for call in space.calls)
        and all(call.operation.use_bias for call in (*space.makers, *space.users))
        and all(_pointwise(call.operation) for call in space.users)
    )


def _pointwise(layer: object) -> bool:
    return isinstance(layer, layers.Dense) or (isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1))


def _parts(space: Space) -> dict[Call, Array]:
    """For every tensor, how often the output of each maker is a term of its sum."""
    parts: dict[Call, Array] = {}
    for call in space.calls:
        if call in space.makers:
            parts[call] = np.eye(len(space.makers))[space.makers.index(call)]
        else:
            parts[call] = np.sum([parts[source] for source, _ in call.sources], axis=0)
    return parts
