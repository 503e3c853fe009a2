"""int8 quantisation that keeps the accuracy. All steps work on the Keras model, so that every format benefits.

    measure channels and their influence -> centre and equalise them -> choose ranges -> round weights, correct biases
    -> distil -> exclude sensitive layers -> mark tensors

The result is a Keras model that computes like an 8-bit model: weights are multiples of a step per output channel, and a
``FakeQuantize`` layer rounds every tensor that is to be stored in 8 bits. The gain of each step is documented in
docs/decisions/0006-int8.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from threadpoolctl import threadpool_limits

from zoo.errors import ExportError
from zoo.exporting.calibration import EFFORTS
from zoo.exporting.fold import LINEAR
from zoo.exporting.graph import Call, Graph, copy_layer
from zoo.exporting.quantize.center import center
from zoo.exporting.quantize.distill import Distilled, Progress, Teacher, distill
from zoo.exporting.quantize.ending import trained_calls
from zoo.exporting.quantize.equalize import equalize
from zoo.exporting.quantize.forward import Pixels, channel_axes, rounded_calls, run
from zoo.exporting.quantize.influence import measure_influence, predicted_noise
from zoo.exporting.quantize.ranges import Range, choose_ranges, joins, measure_channels, share_steps, stored_sources
from zoo.exporting.quantize.rounding import fake_quantize, round_to_inputs
from zoo.exporting.quantize.sensitivity import Fidelity, InFloat, answers, spare

#: Number of images on which channels and ranges are measured. More did not change any range on the datasets tried.
#: Distillation uses all images.
_MEASURED_IMAGES = 128
#: Number of images for the rounding of weights. At each layer, all of them are in memory at once.
_ROUNDING_IMAGES = 64
#: Number of images on which the influence of every channel on the logits is measured.
_INFLUENCE_IMAGES = 64
#: Minimum number of images for distillation. With fewer, too few could be held out to see whether it helped.
_LEAST_TO_LEARN = 40

Stage = Callable[[str], None]


@keras.saving.register_keras_serializable("zoo")
class FakeQuantize(keras.layers.Layer):  # type: ignore[misc]
    """Rounds to one of 256 values from ``low`` to ``high``, as storing in 8 bits does.

    Args:
        low: Zero or below. It is adjusted slightly, so that zero is one of the values.
        high: Zero or above.
    """

    def __init__(self, low: float, high: float, **settings: Any) -> None:
        super().__init__(**settings)
        self.low = low
        self.high = high

    def call(self, inputs: Any) -> Any:
        return fake_quantize(inputs, self.low, self.high)

    def compute_output_spec(self, inputs: Any) -> Any:
        # Keras 3.15 treats a tensor times a number as sparse, which could not be rounded symbolically.
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Noise:
    """What the rounding of a tensor costs, to first order; weights and what distillation gains are not part of it.

    Args:
        name: Name of the layer that computes it.
        before, after: Variance that it adds to a logit: stored from its smallest to its largest value, and as it is
            stored after channels were centred and equalised and ranges were chosen.
    """

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class Quantized:
    """A model that computes with 8 bits.

    Args:
        model: Model with rounded weights, and a ``FakeQuantize`` layer after every tensor to be stored in 8 bits.
        calibrated: Its agreement with the float model on the calibration images.
        distilled: Result of the distillation from the float model. ``None`` if there were too few images.
        in_float: Tensors that stay in float, because 8 bits would change too many predictions.
        noise: What the rounding of each tensor costs.
    """

    model: keras.Model
    calibrated: Fidelity
    distilled: Distilled | None
    in_float: tuple[InFloat, ...]
    noise: tuple[Noise, ...]

    def as_dict(self) -> dict[str, Any]:
        """The content of ``quantization.json`` that is the same in every format."""
        return {
            "calibrated": asdict(self.calibrated),
            "distilled": self.distilled and asdict(self.distilled) | {"kept": self.distilled.kept},
            "in_float": [asdict(tensor) for tensor in self.in_float],
            "noise": [asdict(tensor) for tensor in self.noise],
        }


def quantize(
    model: keras.Model,
    images: Pixels,
    min_agreement: float = 0.0,
    stage: Stage = lambda text: None,
    progress: Callable[[str], Progress] = lambda text: lambda done, total: None,
    steps: int = EFFORTS["best"].steps,
) -> Quantized:
    """A model that computes with 8 bits.

    Args:
        model: A folded model (``zoo.exporting.fold``). It is changed.
        images: Calibration images, uint8 ``(n, height, width, 3)``. The first images are used for measurements, so the
            classes must alternate.
        min_agreement: Minimum share of unchanged predictions. If it is not reached, tensors stay in float.
        stage: Receives the name of each stage.
        progress: Creates a progress counter for the two longest stages.
        steps: Number of steps of the distillation.

    Raises:
        ExportError: The model returns values that are not numbers.
    """
    graph = Graph(model)
    measured = images[:_MEASURED_IMAGES]
    stage("measuring the range of every channel")
    expected = answers(graph, measured, {})
    if unusable := int((~np.isfinite(expected)).any(axis=1).sum()):
        raise ExportError(
            f"The model returns values that are not numbers for {unusable} of {len(measured)} calibration images.",
            "It may divide by zero for images of a single colour, for example.",
        )
    channels = measure_channels(graph, measured, rounded_calls(graph))
    trained = trained_calls(graph)
    teacher = None
    if len(images) >= _LEAST_TO_LEARN and trained:
        teacher = Teacher(graph, images, channels, progress("measuring the range of every channel"))
    influence = measure_influence(graph, measured[:_INFLUENCE_IMAGES], [*channels, *trained]) if trained else {}
    naive = predicted_noise(influence, {call: (seen.low.min(), seen.high.max()) for call, seen in channels.items()})
    center(graph, channels)
    equalize(graph, channels, influence)
    stage("choosing the range of every tensor")
    ranges = choose_ranges(graph, measured, channels)
    chosen = predicted_noise(influence, ranges)
    noise = tuple(Noise(call.name, naive[call], chosen[call]) for call in chosen if chosen[call] or naive[call])
    stage("rounding weights")
    with threadpool_limits(1):  # of NumPy, whose threads are slow on a busy machine
        round_weights(graph, measured[:_ROUNDING_IMAGES], ranges)
    distilled = None
    if teacher is not None:
        stage("learning from the float model")
        distilled, ranges = distill(graph, teacher, ranges, steps, progress("learning from the float model"))
    ranges, reached, spared = spare(graph, measured, expected, ranges, channels, min_agreement, stage)
    for tensor in spared:
        stage(f"{tensor.name} stays in float32, {tensor.extra_bytes / 1e6:.2f} MB more")
    return Quantized(mark(graph, share_steps(ranges)), reached, distilled, spared, noise)


def outline(model: keras.Model, images: Pixels) -> keras.Model:
    """A model stored and computed in 8 bits, without the steps that keep its accuracy. It is only for latency and size.

    Args:
        model: A folded model (``zoo.exporting.fold``). It is changed.
        images: A few images, uint8 ``(n, height, width, 3)``, to get some range for every tensor.
    """
    graph = Graph(model)
    return mark(graph, share_steps(choose_ranges(graph, images, measure_channels(graph, images, rounded_calls(graph)))))


def round_weights(graph: Graph, images: Pixels, ranges: dict[Call, Range]) -> None:
    """Rounds every kernel in place, and corrects every bias by the mean shift of the output due to rounding.

    Layers are processed in order, each with inputs from the rounded layers before it.
    """

    def visit(call: Call, values: list[Any]) -> Any:
        layer = call.operation
        if isinstance(layer, LINEAR) and graph.called_once(call):
            (inputs,) = values
            before = layer(inputs)
            layer.kernel.assign(round_to_inputs(layer, inputs))
            value = layer(inputs)
            if layer.use_bias:
                shift = ops.mean(before - value, axis=channel_axes(value))
                layer.bias.assign_add(shift)
                value = value + shift
        else:
            value = call.invoke(layer, values)
        return fake_quantize(value, *ranges[call]) if call in ranges else value

    run(graph, ops.convert_to_tensor(images, "float32"), visit)


def mark(graph: Graph, ranges: dict[Call, Range]) -> keras.Model:
    """A copy of the model with a ``FakeQuantize`` layer after every call with a range."""

    def rounding(call: Call) -> FakeQuantize:
        low, high = ranges[call]
        return FakeQuantize(low, high, name=graph.free_name(f"{call.name}_8bit"), dtype="float32")

    first = rounding(graph.input)

    def change(call: Call, values: list[Any]) -> Any:
        values = [
            first(value) if source is graph.input else value
            for value, (source, _) in zip(values, call.sources, strict=True)
        ]
        if call not in ranges and graph.input not in [source for source, _ in call.sources]:
            return None
        if call in ranges and joins(call):
            values = [
                value if source in ranges else rounding(call)(value)
                for value, source in zip(values, stored_sources(call), strict=True)
            ]
        layer = call.operation
        if isinstance(layer, keras.Layer):
            layer = copy_layer(layer, name=call.name)
        value = call.invoke(layer, values)
        return rounding(call)(value) if call in ranges else value

    return graph.rebuild(change)


__all__ = ["FakeQuantize", "Quantized", "outline", "quantize"]
