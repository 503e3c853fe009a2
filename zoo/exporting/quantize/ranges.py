"""Measures the values of every tensor, and chooses the range that is stored in 8 bits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from zoo.exporting.fold import LINEAR
from zoo.exporting.graph import Call, Graph
from zoo.exporting.quantize.forward import Pixels, cap, channel_axes, is_relu, passes_through, run, run_compiled
from zoo.exporting.quantize.rounding import LEVELS, steps

#: Smallest and largest value of an 8-bit range, which always includes zero.
Range = tuple[float, float]

Array = NDArray[np.float64]
#: A value above this multiple of the root mean square is an outlier that may be clipped. Of 5, 7, 8, 10, 12, 15 and 20,
#: this was best on MobileNetV2 (docs/decisions/0006-int8.md). Without a limit, one large value makes the steps of all
#: others coarse.
_OUTLIER = 10.0
_BINS = 2048
#: If fewer values of a tensor were measured, as for the scores of a head, no value is clipped. Instead, the range is
#: extended at each end by this share of its width.
_ENOUGH_VALUES, _ROOM = 10_000, 0.05
#: Number of positions that are sampled along each side of a map.
_PLACES = 28


@dataclass
class Channels:
    """Statistics of the channels of one tensor.

    Args:
        low, high: Smallest and largest value of each channel.
        mean, square: Mean of the values of each channel, and mean of their squares.
        factor, offset: A ``value`` of the original model has become ``factor * value + offset``.
    """

    low: Array
    high: Array
    mean: Array
    square: Array
    factor: Array | float = 1.0
    offset: Array | float = 0.0

    @property
    def reach(self) -> Array:
        """Largest absolute value of each channel, without outliers."""
        return np.asarray(np.minimum(self.largest, _OUTLIER * np.sqrt(self.square)))

    @property
    def largest(self) -> Array:
        """Largest absolute value of each channel."""
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))

    @property
    def middle(self) -> Array:
        """The middle between the smallest and the largest value of each channel, without outliers."""
        far = _OUTLIER * np.sqrt(np.maximum(self.square - self.mean**2, 0))
        return np.asarray((np.maximum(self.low, self.mean - far) + np.minimum(self.high, self.mean + far)) / 2)

    def shift(self, by: Array) -> None:
        """Adds a constant to each channel."""
        variance = np.maximum(self.square - self.mean**2, 0)
        self.low, self.high, self.mean = self.low + by, self.high + by, self.mean + by
        self.square = variance + self.mean**2
        self.offset = self.offset + by

    def scale(self, by: Array) -> None:
        """Multiplies each channel by a positive constant."""
        self.low, self.high, self.mean, self.square = self.low * by, self.high * by, self.mean * by, self.square * by**2
        self.factor, self.offset = self.factor * by, self.offset * by

    def include(self, low: Any, high: Any) -> None:
        """Extends the range of each channel to further values."""
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)


def measure_channels(graph: Graph, images: Pixels, calls: Iterable[Call]) -> dict[Call, Channels]:
    """Measures statistics of the channels of some tensors on calibration images.

    Args:
        graph: The model.
        images: uint8 ``(n, height, width, 3)``, at least one image.
        calls: The calls whose outputs are measured.
    """
    chosen = set(calls)
    watched = [call for call in graph.calls if call in chosen]

    def measure(image: Any) -> list[Any]:
        measured = {graph.input: _statistics(image)}

        def visit(call: Call, values: list[Any]) -> Any:
            value = call.invoke(call.operation, values)
            if call in chosen:
                measured[call] = _statistics(value)
            return value

        run(graph, image, visit)
        return [measured[call] for call in watched]

    found: dict[Call, Channels] = {}
    for count, measured in run_compiled(images, measure):
        share = count / len(images)
        for call, moments in zip(watched, measured, strict=True):
            low, high, mean, variance = (np.asarray(moment, np.float64) for moment in moments)
            # The mean of squares is not computed directly, because in float32 it loses the variance of a channel far
            # from zero.
            mean, square = mean * share, (variance + mean**2) * share
            if call in found:
                seen = found[call]
                low, high = np.minimum(seen.low, low), np.maximum(seen.high, high)
                mean, square = seen.mean + mean, seen.square + square
            found[call] = Channels(low, high, mean, square)
    return found


def _statistics(value: Any) -> tuple[Any, ...]:
    """Smallest and largest value of each channel, mean and variance."""
    axes = channel_axes(value)
    return ops.min(value, axis=axes), ops.max(value, axis=axes), *ops.moments(value, axes)


def choose_ranges(graph: Graph, images: Pixels, channels: dict[Call, Channels]) -> dict[Call, Range]:
    """For every tensor, the range with the least total error of rounding inside and clipping outside it.

    The range of the input is 0 to 255, so that pixels are stored without rounding.

    Args:
        graph: The model.
        images: Calibration images, uint8.
        channels: Result of ``measure_channels`` for the same model and images.
    """
    import tensorflow as tf

    limits = {
        # Equalisation may have scaled an outlier beyond the limit of a ReLU.
        call: (float(min(seen.low.min(), 0.0)), min(float(max(seen.high.max(), 0.0)) + 1e-6, highest(call)))
        for call, seen in channels.items()
    }
    watched = [call for call in limits if call is not graph.input]

    def count(image: Any) -> list[Any]:
        counts = {}

        def visit(call: Call, values: list[Any]) -> Any:
            value = call.invoke(call.operation, values)
            if call in limits:
                counts[call] = tf.histogram_fixed_width(_sample(value), limits[call], _BINS)
            return value

        run(graph, image, visit)
        return [counts[call] for call in watched]

    histograms = [sum(counts) for counts in zip(*(counted for _, counted in run_compiled(images, count)), strict=True)]
    chosen = {graph.input: (0.0, 255.0)}
    for call, histogram in zip(watched, histograms, strict=True):
        enough = histogram.sum() >= _ENOUGH_VALUES
        chosen[call] = best_range(histogram, *limits[call]) if enough else _with_room(limits[call], highest(call))
    for call in chosen:  # in the order of the graph
        low, high = chosen[call]
        if (finest := LEVELS * _finest_step(call, chosen)) > high - low:
            chosen[call] = (low, low + finest)
        _keep_steps_of_average(call, chosen)
    return chosen


def highest(call: Call) -> float:
    """The largest end of a range that implies the cap of the call's ReLU, so that converters leave it out."""
    return cap(call.operation) * (1 + 5e-7)  # the ONNX exporter allows 1e-6, after rounding to float32


def _with_room(limits: Range, most: float) -> Range:
    low, high = limits
    room = _ROOM * (high - low)
    return (low - room if low < 0 else low), min(high + room, most)


def _finest_step(call: Call, ranges: dict[Call, Range]) -> float:
    """The step of the integer sums from which a tensor is computed. 0 if it is unknown.

    The step of the tensor itself does not have to be finer. If all values of a tensor are almost zero, a finer step is
    no gain, and LiteRT crashes if it is hundreds of times finer than the step of the sums.
    """
    source = call.only_source
    maker = source if is_relu(call.operation) and source is not None and source not in ranges else call
    read = [ranges[stored][1] - ranges[stored][0] for stored in stored_sources(maker) if stored in ranges]
    if len(read) != len(maker.sources) or not read:
        return 0.0
    if isinstance(maker.operation, LINEAR):
        return read[0] / LEVELS * float(steps(maker.operation).max())
    if isinstance(maker.operation, layers.Multiply):
        return float(np.prod([width / LEVELS for width in read]))
    return min(read) / LEVELS if isinstance(maker.operation, layers.Add) else 0.0


def share_steps(ranges: dict[Call, Range]) -> dict[Call, Range]:
    """Returns ranges in which every concatenation and its inputs have the same range.

    If a tensor is an input of several concatenations, all of them and all of their inputs share one range. Other layers
    that use the tensor get this range too. A second rounding on the way to the concatenation would keep a finer range
    for them, but TFLite's converter does not support it (docs/decisions/0006-int8.md).
    """
    groups: list[set[Call]] = []
    for call in filter(joins, ranges):
        group = {call, *(source for source in _joined(call) if source in ranges and _may_share(source))}
        overlapping = [other for other in groups if other & group]
        groups = [other for other in groups if other not in overlapping] + [group.union(*overlapping)]
    shared = dict(ranges)
    for group in groups:
        lows, highs = zip(*(ranges[call] for call in group if joins(call)), strict=True)
        shared |= dict.fromkeys(group, (min(lows), max(highs)))
    for call in shared:  # in the order of the graph
        _keep_steps_of_average(call, shared)
    return shared


def free_calls(ranges: dict[Call, Range]) -> list[Call]:
    """The calls whose range does not depend on that of another call: no pixels, concatenations and averages."""
    fixed: set[Call] = set()
    for call in ranges:
        if joins(call) or isinstance(call.operation, layers.AveragePooling2D):
            fixed |= {call, *stored_sources(call)}
    return [call for call in ranges if call.sources and call not in fixed]


def _keep_steps_of_average(call: Call, ranges: dict[Call, Range]) -> None:
    """Sets the range of an average to that of its source, because integer kernels store both with the same step."""
    if isinstance(call.operation, layers.AveragePooling2D) and (source := stored_sources(call)[0]) in ranges:
        ranges[call] = ranges[source]


def joins(call: Call) -> bool:
    """Whether a call is a concatenation. Integer kernels can concatenate only tensors with the same step."""
    return type(call.operation).__name__ == "Concatenate"


def stored_sources(call: Call) -> list[Call]:
    """The calls whose stored values a call reads, directly or through layers that only pass values on."""
    return [path[-1] for path in _paths(call)]


def _joined(call: Call) -> list[Call]:
    """The calls whose stored values a concatenation joins without change.

    A call is not included if its values pass through another layer, such as a pooling, and are also used elsewhere,
    because the converter changes the steps after the pooling.
    """
    return [path[-1] for path in _paths(call) if len(path) == 1 or all(maker.only_user is not None for maker in path)]


def _paths(call: Call) -> list[list[Call]]:
    """For each source, the calls from the source back to the call that stores its values."""
    paths = []
    for source, _ in call.sources:
        path = [source]
        while passes_through(path[-1]) and path[-1].only_source is not None:
            path.append(path[-1].only_source)
        paths.append(path)
    return paths


def _may_share(call: Call) -> bool:
    """Whether the step of a tensor can be chosen. Pixels have a fixed step, and an average has that of its source."""
    return bool(call.sources) and not isinstance(call.operation, layers.AveragePooling2D)


def _sample(value: Any) -> Any:
    """All positions of a small map, or some positions of a large map, which are sufficient for a distribution."""
    if len(value.shape) != 4:
        return value
    return value[:, :: max(1, value.shape[1] // _PLACES), :: max(1, value.shape[2] // _PLACES)]


def best_range(counts: NDArray[np.int64], low: float, high: float) -> Range:
    """The range within ``low`` to ``high`` for which storing in 8 bits has the least mean squared error.

    Args:
        counts: Histogram of the values, in bins of equal width from ``low`` to ``high``.
        low: Zero or below.
        high: Above zero.
    """
    centres = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    shares = counts / max(counts.sum(), 1)

    def error(low: float, high: float) -> float:
        step = (high - low) / LEVELS
        beyond = np.maximum(low - centres, 0) + np.maximum(centres - high, 0)
        # The rounding error is uniform within a step. Beyond the range, the error is the distance to it.
        return float((shares * np.where(beyond > 0, beyond**2, step**2 / 12)).sum())

    best, least = (low, high), error(low, high)
    for _ in range(2):  # optimises one end at a time, given the other
        for share in np.linspace(0.3, 1, 71).tolist():
            for candidate in ((best[0], high * share), (low * share, best[1])):
                lost = error(*candidate)
                if lost < least:
                    best, least = candidate, lost
    return best
