"""Steps of 8-bit additions that every processor rounds to the same values.

ONNX Runtime adds two 8-bit tensors in floating point on x86, which rounds a half to the even neighbour, and in fixed
point on ARM, which rounds it away from zero. Its other 8-bit kernels compute the same on both. Where a sum of two
stored values lies at a half, or within the errors of such arithmetic of one, the results are a step apart, and a
network makes more of it from layer to layer: docs/decisions/0024.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from zoo_onnx.editor import Editor

#: Distance of a sum from a half, in steps of the result, that no processor rounds across: float32 arithmetic with
#: values up to 256 is off by 3e-5 at most, and ARM's factors of 22 bits by some more far from zero, which is computed.
MARGIN = 3e-5

#: Largest relative change of a step. On the most that 8 bits hold, it changes the sum by a hundredth of a step.
_LARGEST = 1e-4
_TRIES = 2000


def settle_additions(editor: Editor) -> None:
    """Changes the steps by which additions read their inputs, by less than ``_LARGEST``, where processors would differ.

    The tensors are stored as before. An addition without such steps, which was not seen yet, stays as it is.
    """
    for node in [node for node in editor.nodes if node.op_type == "Add"]:
        reads = [editor.maker(name) for name in node.input]
        store = editor.only_reader(node.output[0])
        if store is None or store.op_type != "QuantizeLinear":
            continue
        if any(read is None or read.op_type != "DequantizeLinear" for read in reads):
            continue
        left, right = (_quantisation(editor, read) for read in reads if read is not None)
        result = _quantisation(editor, store)
        if not (left and right and result):
            continue
        steps = settled(left, right, result)
        if steps is None:
            continue
        for read, step, was in zip(reads, steps, (left, right), strict=True):
            if read is not None and step != was[0]:
                read.input[1] = editor.add_constant(f"{read.output[0]}_step", np.array(step, np.float32))


Quantisation = tuple[np.float32, int]


def settled(left: Quantisation, right: Quantisation, result: Quantisation) -> tuple[np.float32, np.float32] | None:
    """The two steps, changed as little as tries of growing size find, with which no sum is rounded in two ways.

    Args:
        left, right: Step and zero point of what is added, stored in uint8.
        result: Of the sum.
    """
    for one, other in _changes():
        steps = np.float32(left[0] * one), np.float32(right[0] * other)
        if rounded_alike((steps[0], left[1]), (steps[1], right[1]), result):
            return steps
    return None


def rounded_alike(left: Quantisation, right: Quantisation, result: Quantisation) -> bool:
    """Whether floating point and fixed point round every sum of two stored values to the same value."""
    first, second = (np.float32(step / result[0]) for step, _ in (left, right))
    stored = np.arange(256, dtype=np.int64)
    one, other = (stored - left[1])[:, None], (stored - right[1])[None, :]
    exact = one * np.float64(first) + other * np.float64(second)
    held = np.abs(exact + result[1] - 127.5) < 128.5  # the others are stored as 0 or 255 by all
    near = np.abs(exact - np.floor(exact) - 0.5) < MARGIN
    if (near & held).any():
        return False
    return bool((_fixed_point(one, other, first, second) == np.rint(exact))[held].all())


def _fixed_point(
    one: NDArray[np.int64], other: NDArray[np.int64], first: np.float32, second: np.float32
) -> NDArray[Any]:
    """Sums as ARM computes them: factors of 22 bits, rounded away from zero at a half."""
    shift = 21 - int(np.floor(np.log2(max(first, second))))
    factors = [int(np.rint(np.float64(factor) * 2.0**shift)) for factor in (first, second)]
    total = one * factors[0] + other * factors[1]
    return (total - (total < 0) + (1 << (shift - 1))) >> shift


def _changes() -> Iterator[tuple[float, float]]:
    """No change first, then growing ones; the same ones every time.

    Every tenth changes both alike: where the steps are in a simple ratio, this moves all sums off the halves they are
    on, and nothing else does.
    """
    yield 1.0, 1.0
    random = np.random.default_rng(0)
    for number, size in enumerate(np.geomspace(1e-6, _LARGEST, _TRIES)):
        one, other = (size, size) if number % 10 == 0 else random.uniform(-size, size, 2)
        yield 1 + one, 1 + other


def _quantisation(editor: Editor, node: NodeProto) -> Quantisation | None:
    """Step and zero point of a node that stores or reads uint8; ``None`` of another, or one with a step per channel."""
    step, zero = (editor.constant(name) for name in node.input[1:3])
    if step is None or zero is None or step.ndim or zero.dtype != np.uint8:
        return None
    return np.float32(step), int(zero)
