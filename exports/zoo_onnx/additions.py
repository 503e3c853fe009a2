"""Adjusts the quantisation steps of 8-bit additions, so that all processors round their sums to the same values.

ONNX Runtime adds two 8-bit tensors in floating point on x86, which rounds a half to the even neighbour, and in fixed
point on ARM, which rounds it away from zero. Its other 8-bit kernels compute the same on both. If a sum of two
stored values is at a half, or so close to one that the arithmetic cannot distinguish them, the results differ by one
step, and the difference grows from layer to layer: docs/decisions/0026-arm.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from zoo_onnx.editor import Editor

#: Minimum distance of a sum from a half, in steps of the result, at which all processors round in the same way. The
#: error of float32 arithmetic with values up to 256 is at most 3e-5. The error of ARM's factors of 22 bits is slightly
#: larger far from zero, and is computed.
MARGIN = 3e-5

#: Maximum relative change of a step. For the largest 8-bit value, it changes the sum by a hundredth of a step.
_LARGEST = 1e-4
_TRIES = 2000


def settle_additions(editor: Editor) -> None:
    """Changes the steps with which additions read their inputs, by less than ``_LARGEST``, if processors would differ.

    The stored tensors do not change. If no suitable steps are found, the addition is not changed.
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
        for place, (read, step, was) in enumerate(zip(reads, steps, (left, right), strict=True)):
            if read is not None and step != was[0]:
                own = _own_read(editor, node, place, read)
                own.input[1] = editor.add_constant(f"{own.output[0]}_step", np.array(step, np.float32))


def _own_read(editor: Editor, node: NodeProto, place: int, read: NodeProto) -> NodeProto:
    """The node that reads an input for this addition only. It is a new node if others use the existing one.

    The others keep the step, because the biases of convolutions are stored in units of it.
    """
    if editor.only_reader(read.output[0]) is node:
        return read
    own = NodeProto()
    own.CopyFrom(read)
    own.output[0] = f"{read.output[0]}_of_{node.output[0]}_{place}"
    node.input[place] = own.output[0]
    editor.insert_before(node, own)
    return own


Quantisation = tuple[np.float32, int]


def settled(left: Quantisation, right: Quantisation, result: Quantisation) -> tuple[np.float32, np.float32] | None:
    """The least changed steps that were found for which all processors round every sum to the same value.

    Args:
        left, right: Step and zero point of the inputs, stored in uint8.
        result: Step and zero point of the sum.

    Returns:
        ``None`` if no such steps were found.
    """
    # A tensor that is almost zero everywhere may have a step that is millions of times smaller.
    if not 2**-20 < float(max(left[0], right[0])) / float(result[0]) < 2**20:
        return None
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
    held = np.abs(exact + result[1] - 127.5) < 128.5  # all processors clip other sums to 0 or 255
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
    """Factors for both steps: first no change, then growing changes, the same in every call.

    Every tenth change is the same for both steps. If the steps have a simple ratio, only this moves all sums away from
    halves.
    """
    yield 1.0, 1.0
    random = np.random.default_rng(0)
    for number, size in enumerate(np.geomspace(1e-6, _LARGEST, _TRIES)):
        one, other = (size, size) if number % 10 == 0 else random.uniform(-size, size, 2)
        yield 1 + one, 1 + other


def _quantisation(editor: Editor, node: NodeProto) -> Quantisation | None:
    """Step and zero point of a node that stores or reads uint8. ``None`` for other types and for steps per channel."""
    step, zero = (editor.constant(name) for name in node.input[1:3])
    if step is None or zero is None or step.ndim or zero.dtype != np.uint8:
        return None
    return np.float32(step), int(zero)
