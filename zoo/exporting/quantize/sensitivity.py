"""Finds the tensors for which 8 bits are not enough, if the predictions of the model change too much.

The agreement of the 8-bit model with the float model is measured on the calibration images. If it is too low, the
tensors with the most rounding noise are tried in float, one at a time, and the one that helps most stays in float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.exporting.fold import LINEAR
from zoo.exporting.graph import Call, Graph
from zoo.exporting.quantize.forward import Pixels, passes_through, run, run_compiled
from zoo.exporting.quantize.ranges import Channels, Range
from zoo.exporting.quantize.rounding import fake_quantize
from zoo.figures import percent
from zoo.parity.stored import LEAST_IN_8_BITS

#: Maximum number of tensors that are tried. Those with the most rounding noise are tried first.
_TRIED = 12
#: Maximum number of calibration images used for a trial.
_IMAGES = 32
#: Maximum number of tensors that stay in float.
_MOST = 4

Answers = NDArray[np.float32]


@dataclass(frozen=True)
class Fidelity:
    """Comparison of an 8-bit model with the float model on calibration images.

    Args:
        agreement: Share of the images with the same prediction, 0 to 1.
        divergence: Mean Kullback-Leibler divergence from the float model's probabilities, in nats.
    """

    agreement: float
    divergence: float


@dataclass(frozen=True)
class InFloat:
    """A tensor that stays in float.

    Args:
        name: Name of the layer that computes it.
        before, after: The model without and with this exception, on the calibration images used for the trial.
        extra_bytes: Additional size of the weights of the layers that compute and read it.
    """

    name: str
    before: Fidelity
    after: Fidelity
    extra_bytes: int


def answers(graph: Graph, images: Pixels, ranges: dict[Call, Range]) -> Answers:
    """Outputs of a graph with some of its tensors in 8 bits, float32 ``(n, classes)``."""

    def visit(call: Call, values: list[Any]) -> Any:
        value = call.invoke(call.operation, values)
        return fake_quantize(value, *ranges[call]) if call in ranges else value

    return np.concatenate([found for _, found in run_compiled(images, lambda image: run(graph, image, visit))])


def fidelity(expected: Answers, found: Answers) -> Fidelity:
    """Compares the probabilities of two models on the same images."""
    small = 1e-9
    divergence = (expected * (np.log(expected + small) - np.log(found + small))).sum(axis=1).mean()
    return Fidelity(float((expected.argmax(axis=1) == found.argmax(axis=1)).mean()), float(divergence))


def spare(
    graph: Graph,
    images: Pixels,
    expected: Answers,
    ranges: dict[Call, Range],
    channels: dict[Call, Channels],
    wanted: float,
    stage: Callable[[str], None],
) -> tuple[dict[Call, Range], Fidelity, tuple[InFloat, ...]]:
    """Keeps tensors in float until the agreement with the float model is high enough.

    Args:
        graph: Graph of the rounded model.
        images: Calibration images.
        expected: Outputs of the float model for these images.
        ranges: Range of every tensor in 8 bits.
        channels: Statistics of their channels.
        wanted: Minimum agreement, 0 to 1.
        stage: Receives the name of each stage.

    Returns:
        The remaining ranges, the fidelity of the model with them, and the tensors that stay in float.
    """
    reached = fidelity(expected, answers(graph, images, ranges))
    few = slice(0, _IMAGES)
    spared: list[InFloat] = []
    in_float: set[Call] = set()
    while reached.agreement < wanted and len(spared) < _MOST:
        stage(f"{percent(reached.agreement)} agreement with float: searching for tensors with large 8-bit errors")
        before = fidelity(expected[few], answers(graph, images[few], ranges))
        tried = []
        for call in _noisiest(graph, ranges, channels):
            left = {other: value for other, value in ranges.items() if other is not call}
            if _weights(in_float | _in_float(call)) > (1 - LEAST_IN_8_BITS) * _weights(graph.calls):
                continue  # the file would store most weights as float32
            tried.append((fidelity(expected[few], answers(graph, images[few], left)), call, left))
        if not tried:
            break
        after, call, left = min(tried, key=lambda trial: trial[0].divergence)
        if after.divergence >= before.divergence * 0.9:
            break  # no single tensor is the cause
        ranges = left
        # Three additional bytes for each weight.
        spared.append(InFloat(call.name, before, after, 3 * _weights(_in_float(call) - in_float)))
        in_float |= _in_float(call)
        reached = fidelity(expected, answers(graph, images, ranges))
    return ranges, reached, tuple(spared)


def _noisiest(graph: Graph, ranges: dict[Call, Range], channels: dict[Call, Channels]) -> list[Call]:
    """Tensors sorted by the ratio of rounding noise to signal, worst first. The pixels are excluded."""

    def noise(call: Call) -> float:
        low, high = ranges[call]
        return float(((high - low) / 255) ** 2 / 12 / max(channels[call].square.mean(), 1e-12))

    return sorted((call for call in ranges if call is not graph.input), key=noise, reverse=True)[:_TRIED]


def _in_float(call: Call) -> set[Call]:
    """The layers with weights that compute in float if a tensor stays in float."""
    before = call.only_source
    return {each for each in (call, *_readers(call), before) if each and isinstance(each.operation, LINEAR)}


def _readers(call: Call) -> Iterator[Call]:
    """The calls that read the values of a call, also through layers that only pass them on."""
    for user in call.users:
        if passes_through(user):
            yield from _readers(user)
        else:
            yield user


def _weights(calls: Iterable[Call]) -> int:
    return sum(int(np.prod(call.operation.kernel.shape)) for call in calls if isinstance(call.operation, LINEAR))
