"""Distillation: the rounded model learns to reproduce the predictions of the float model.

Rounding works on each layer separately. The remaining errors, including those of early layers, are visible only at the
end. Therefore weights, biases and the ranges of tensors are trained on a few hundred images with the float model as
teacher. The targets are the inputs and outputs of the last layer, with all rounding active. Rounding has no useful
gradient; the gradient of the identity is used (Bengio et al. 2013, straight-through). Weights are trained in units of
their own quantisation step, and biases in units of the quantisation step of the layer's output. The changes are so
small that most weights still round to the same value. Of a range, the step is trained (Esser et al. 2020, Learned Step
Size Quantization): a smaller step rounds less, and clips more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from zoo.exporting.graph import Call, Graph
from zoo.exporting.quantize.ending import find_ending, trained_calls
from zoo.exporting.quantize.forward import Pixels, channel_axes, passes_through, run, run_compiled
from zoo.exporting.quantize.ranges import Channels, Range, free_calls, highest
from zoo.exporting.quantize.rounding import LARGEST, LEVELS, fake_quantize, fake_quantize_scaled, steps

_BATCH = 8
#: Initial learning rate of Adam, in units of the quantisation step. It falls to zero along a cosine.
_LEARNING_RATE = 0.01
#: Rate for the logarithm of the step of a tensor, relative to the one above. docs/decisions/0006-int8.md
_RATE_OF_STEPS = 0.4
#: Number of images for the training, including mirrored ones.
_MOST_IMAGES = 512
#: One in this many images is held out, to decide whether the result is kept.
_HELD_OUT = 5

Values = NDArray[np.float32]
Progress = Callable[[int, int], None]
#: Rounds the value of a call to 8 bits, if it is stored in them.
Round = Callable[[Call, Any], Any]


@dataclass(frozen=True)
class Distilled:
    """Result of the distillation, measured on images that were not used for it.

    Args:
        images: Number of training images, including mirrored ones.
        steps: Number of training steps, of 8 images each.
        before, after: Squared error of the last layer's inputs and outputs over their variance, summed.
    """

    images: int
    steps: int
    before: float
    after: float

    @property
    def kept(self) -> bool:
        """Whether it helped. Otherwise the model is unchanged."""
        return self.after < self.before


@dataclass(frozen=True)
class Ending:
    """The last values of a model.

    Args:
        features: Inputs of its last layer with weights, ``(n, ...)``.
        logits: Outputs of this layer, or the sum of several such layers, shifted to mean zero for each image.
    """

    features: Values
    logits: Values

    @property
    def spread(self) -> tuple[float, float]:
        """Variance of both, over images."""
        return max(float(self.features.var(axis=0).mean()), 1e-12), max(float(np.square(self.logits).mean()), 1e-12)


class Teacher:
    """The outputs of the original model, before its channels are shifted and scaled and its weights are rounded.

    Args:
        graph: Graph of the folded model.
        images: Calibration images, uint8. A fifth of them is used only to check whether the distillation helped.
        channels: Statistics of the channels on some of the images. Their ranges are extended to all images, and they
            record how the channels are shifted and scaled later.
        progress: Called with images done and images to do.
    """

    def __init__(
        self,
        graph: Graph,
        images: Pixels,
        channels: dict[Call, Channels],
        progress: Progress = lambda done, total: None,
    ) -> None:
        # At random, because the classes alternate: every fifth image of five classes would be one class.
        held = np.random.default_rng(0).permutation(len(images)) % _HELD_OUT == 0
        own = images[~held]
        # Mirrored images can be used for all classes, because the target is the prediction of the float model, not a
        # label.
        self.images = np.concatenate([own, own[:, :, ::-1]])[:_MOST_IMAGES]
        self.held_out = images[held]
        taught, total = len(self.images), len(self.images) + len(self.held_out)
        self._taught = _ask(graph, self.images, {}, channels, lambda done: progress(done, total))
        self._expected = _ask(graph, self.held_out, {}, channels, lambda done: progress(taught + done, total))
        self._changed = channels.get(_stored(find_ending(graph)[0]))

    @property
    def taught(self) -> Ending:
        """The targets for ``images``."""
        return self._as_changed(self._taught)

    @property
    def expected(self) -> Ending:
        """The targets for ``held_out``."""
        return self._as_changed(self._expected)

    def _as_changed(self, ending: Ending) -> Ending:
        if self._changed is None:
            return ending
        features = ending.features * self._changed.factor + self._changed.offset
        return Ending(np.asarray(features, np.float32), ending.logits)


def _stored(last: Call) -> Call:
    """The call that makes what a layer reads, without those that only pass its channels on."""
    source = last.sources[0][0]
    while passes_through(source) and source.only_source and source.only_source.shapes[0][-1] == source.shapes[0][-1]:
        source = source.only_source
    return source


def distill(
    graph: Graph,
    teacher: Teacher,
    ranges: dict[Call, Range],
    count: int,
    progress: Progress = lambda done, total: None,
) -> tuple[Distilled, dict[Call, Range]]:
    """Trains the weights and biases of a rounded model in place, and its ranges; weights stay multiples of their step.

    Args:
        graph: Graph of the rounded model.
        teacher: Teacher created from the same graph before rounding.
        ranges: Range of every tensor in 8 bits.
        count: Number of steps.
        progress: Called with steps done and steps to do.

    Returns:
        The result, and the trained ranges.
    """
    expected = teacher.expected
    before = _error(expected, _ask(graph, teacher.held_out, ranges))
    old = [(call.operation, call.operation.get_weights()) for call in trained_calls(graph)]
    trained = _train(graph, teacher, ranges, count, progress)
    after = _error(expected, _ask(graph, teacher.held_out, trained))
    found = Distilled(len(teacher.images), count, before, after)
    if found.kept:
        return found, trained
    for layer, weights in old:
        layer.set_weights(weights)
    return found, ranges


def _train(
    graph: Graph, teacher: Teacher, ranges: dict[Call, Range], count: int, progress: Progress
) -> dict[Call, Range]:
    """Trains the model, and returns the trained ranges."""
    import tensorflow as tf

    students = [_Student(call, ranges) for call in trained_calls(graph)]
    scales = _Scales(ranges)
    learnt = [variable for student in students for variable in student.variables] + scales.variables
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, count), beta_2=0.99)
    optimizer.build(learnt)
    taught = teacher.taught
    feature_spread, logit_spread = taught.spread

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(images: Any, features: Any, logits: Any) -> None:
        with tf.GradientTape() as tape:
            current = [pair for student in students for pair in student.current()]
            with keras.StatelessScope(state_mapping=current):
                found_features, found_logits, _ = _end(graph, images, scales.round)
            loss = ops.mean(ops.square(found_features - features)) / feature_spread
            loss += ops.mean(ops.square(found_logits - logits)) / logit_spread
        # Tensors after the logits, such as those of an average over their map, have no gradient.
        optimizer.apply(tape.gradient(loss, learnt, unconnected_gradients="zero"), learnt)

    random = np.random.default_rng(0)
    waiting: list[int] = []
    for number in range(count):
        while len(waiting) < _BATCH:
            waiting += random.permutation(len(teacher.images)).tolist()
        chosen, waiting = waiting[:_BATCH], waiting[_BATCH:]
        parts = (teacher.images, taught.features, taught.logits)
        step(*(ops.convert_to_tensor(part[chosen], "float32") for part in parts))
        progress(number + 1, count)
    for student in students:
        for variable, value in student.current():
            variable.assign(value)
    return scales.ranges


class _Scales:
    """The steps of all tensors whose range may change. Their zero stays the same integer."""

    def __init__(self, ranges: dict[Call, Range]) -> None:
        import tensorflow as tf

        self._before = ranges
        self._changes = {call: tf.Variable(0.0) for call in free_calls(ranges)}
        self.variables = list(self._changes.values())

    def round(self, call: Call, value: Any) -> Any:
        """Rounds the value of a call, if it is stored in 8 bits."""
        if call in self._changes:
            return fake_quantize_scaled(value, *self._step_and_zero(call))
        return _round_in(self._before)(call, value)

    @property
    def ranges(self) -> dict[Call, Range]:
        """The trained ranges, and those that may not change."""
        found = dict(self._before)
        for call in self._changes:
            step, zero = self._step_and_zero(call)
            found[call] = -zero * float(step), (LEVELS - zero) * float(step)
        return found

    def _step_and_zero(self, call: Call) -> tuple[Any, int]:
        """The current step, and the level that stores zero."""
        low, high = self._before[call]
        step = (high - low) / LEVELS
        zero = round(-low / step)
        trained = step * ops.exp(_RATE_OF_STEPS * self._changes[call])
        limited = ops.minimum(trained, highest(call) / max(LEVELS - zero, 1))
        # The gradient ignores the limit, so that the step can become smaller again.
        return trained + ops.stop_gradient(limited - trained), zero


class _Student:
    """Weights and biases of one layer, in units of their quantisation steps."""

    def __init__(self, call: Call, ranges: dict[Call, Range]) -> None:
        import tensorflow as tf

        self.layer = call.operation
        self.step = steps(self.layer).astype(np.float32)
        stored = np.round(ops.convert_to_numpy(self.layer.kernel) / self.step)
        # The largest weight of a channel stays 127 steps, because converters compute the step from it.
        self.free = (np.abs(stored) < LARGEST).astype(np.float32)
        self.kernel = tf.Variable(stored)
        self.variables = [self.kernel]
        stored_in = ranges.get(call) or (ranges.get(call.only_user) if call.only_user else None)
        if self.layer.use_bias and stored_in:
            self.unit = np.float32((stored_in[1] - stored_in[0]) / LEVELS)
            self.bias = np.array(self.layer.bias)
            self.shift = tf.Variable(np.zeros_like(self.bias))
            self.variables.append(self.shift)

    def current(self) -> list[tuple[Any, Any]]:
        """The layer's variables with their current values."""
        stored = self.kernel * self.free + ops.stop_gradient(self.kernel * (1 - self.free))
        stored = ops.clip(stored, -LARGEST, LARGEST)
        stored = stored + ops.stop_gradient(ops.round(stored) - stored)
        found = [(self.layer.kernel, stored * self.step)]
        if len(self.variables) > 1:
            found.append((self.layer.bias, self.bias + self.shift * self.unit))
        return found


def _round_in(ranges: dict[Call, Range]) -> Round:
    """Rounds values to fixed ranges."""
    return lambda call, value: fake_quantize(value, *ranges[call]) if call in ranges else value


def _end(
    graph: Graph, image: Any, rounded: Round, watched: Collection[Call] = ()
) -> tuple[Any, Any, list[tuple[Any, Any]]]:
    """Inputs of the last layer with weights, the logits around their mean, and the limits of the watched channels."""
    last, logits = find_ending(graph)
    found = {}
    limits: dict[Call, tuple[Any, Any]] = {}

    def visit(call: Call, values: list[Any]) -> Any:
        if call is last:
            found["features"] = values[0]
        value = call.invoke(call.operation, values)
        if call in watched:
            limits[call] = ops.min(value, axis=channel_axes(value)), ops.max(value, axis=channel_axes(value))
        value = rounded(call, value)
        if call is logits:
            found["logits"] = value - ops.mean(value, axis=-1, keepdims=True)
        return value

    run(graph, image, visit)
    return found["features"], found["logits"], [limits[call] for call in watched]


def _ask(
    graph: Graph,
    images: Pixels,
    ranges: dict[Call, Range],
    channels: dict[Call, Channels] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Ending:
    """The last values of all images. The ranges of ``channels`` are extended to these images."""
    extended = {call: seen for call, seen in (channels or {}).items() if call is not graph.input}
    ends, done = [], 0
    for count, (features, logits, limits) in run_compiled(
        images, lambda image: _end(graph, image, _round_in(ranges), extended)
    ):
        for seen, (low, high) in zip(extended.values(), limits, strict=True):
            seen.include(low, high)
        ends.append((features, logits))
        done += count
        progress(done)
    return Ending(*(np.concatenate(parts) for parts in zip(*ends, strict=True)))


def _error(expected: Ending, found: Ending) -> float:
    pairs = ((expected.features, found.features), (expected.logits, found.logits))
    return float(
        sum(np.square(one - other).mean() / spread for (one, other), spread in zip(pairs, expected.spread, strict=True))
    )
