"""Additions of 8-bit tensors that x86 and ARM round in the same way. ``tests/emulation/test_arm.py`` runs them on
ARM."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from zoo_onnx.additions import Quantisation, rounded_alike, settle_additions, settled
from zoo_onnx.editor import Editor

STORED = np.arange(256, dtype=np.uint8)


def addition(left: Quantisation, right: Quantisation, result: Quantisation) -> onnx.ModelProto:
    """A model that adds two 8-bit tensors."""
    nodes, constants = [], []
    for name, (step, zero) in (("left", left), ("right", right), ("sum", result)):
        constants.append(helper.make_tensor(f"{name}_step", TensorProto.FLOAT, (), [float(step)]))
        constants.append(helper.make_tensor(f"{name}_zero", TensorProto.UINT8, (), [zero]))
    for name in ("left", "right"):
        nodes.append(helper.make_node("DequantizeLinear", [name, f"{name}_step", f"{name}_zero"], [f"{name}_real"]))
    nodes.append(helper.make_node("Add", ["left_real", "right_real"], ["sum_real"]))
    nodes.append(helper.make_node("QuantizeLinear", ["sum_real", "sum_step", "sum_zero"], ["sum"]))
    inputs = [helper.make_tensor_value_info(name, TensorProto.UINT8, [256, 256]) for name in ("left", "right")]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.UINT8, [256, 256])]
    graph = helper.make_graph(nodes, "addition", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def all_sums(model: onnx.ModelProto) -> NDArray[np.uint8]:
    """The results of ONNX Runtime for every pair of stored values."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    left, right = np.meshgrid(STORED, STORED, indexing="ij")
    (found,) = session.run(None, {"left": left, "right": right})
    return np.asarray(found)


#: Steps of three additions in MobileNetV2: with one sum at a half, with 226 such sums, and with none.
UNSETTLED = [
    ((0.74835885, 133), (0.78285843, 128), (1.0, 128)),
    ((133 / 130, 128), (127 / 130, 126), (1.0, 126)),
    ((0.5, 128), (0.5, 128), (1.0, 128)),
]


@pytest.mark.parametrize(("left", "right", "result"), UNSETTLED)
def test_steps_are_changed_by_little_until_all_sums_are_rounded_alike(
    left: Quantisation, right: Quantisation, result: Quantisation
) -> None:
    left, right, result = ((np.float32(step), zero) for step, zero in (left, right, result))
    assert not rounded_alike(left, right, result)
    steps = settled(left, right, result)
    assert steps is not None
    for step, (was, _) in zip(steps, (left, right), strict=True):
        assert abs(step / was - 1) < 1.1e-4
    assert rounded_alike((steps[0], left[1]), (steps[1], right[1]), result)
    # This machine computes the exact sum and rounds it.
    model = addition((steps[0], left[1]), (steps[1], right[1]), result)
    exact = (STORED.astype(float) - left[1])[:, None] * float(steps[0] / result[0])
    exact = exact + (STORED.astype(float) - right[1]) * float(steps[1] / result[0])
    assert np.array_equal(all_sums(model), np.clip(np.rint(exact) + result[1], 0, 255))


def test_steps_without_a_sum_near_a_half_stay() -> None:
    left, right, result = ((np.float32(step), zero) for step, zero in ((1.0, 10), (1.0, 20), (1.0, 30)))
    assert settled(left, right, result) == (left[0], right[0])


@pytest.mark.parametrize("step", [1e-9, 1e9])
def test_an_addition_with_a_tensor_that_is_almost_zero_stays(step: float) -> None:
    dead = (np.float32(step), 0)
    assert settled((np.float32(1), 128), (np.float32(0.5), 128), dead) is None


def test_an_exported_addition_reads_with_the_settled_steps_and_stores_as_before() -> None:
    model = addition(*UNSETTLED[1])
    before = all_sums(model)
    editor = Editor(model)
    settle_additions(editor)
    (left, right) = (editor.maker(name) for name in ("left_real", "right_real"))
    assert left is not None and right is not None  # noqa: PT018
    steps = [editor.constants[node.input[1]] for node in (left, right)]
    assert rounded_alike((steps[0][()], 128), (steps[1][()], 126), (np.float32(1), 126))
    assert editor.constants["sum_step"] == 1
    changed = all_sums(editor.model("addition", 17, 8)).astype(int) - before
    assert 0 < (changed != 0).sum() < 300
    assert np.abs(changed).max() == 1
