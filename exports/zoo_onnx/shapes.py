"""Replaces shapes that a graph computes by constants, because all dimensions except the batch size are known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from zoo_onnx.editor import Editor
from zoo_onnx.runtime import onnxruntime  # not imported directly, because the module first turns telemetry off

#: Two batch sizes show which sizes depend on the batch.
_BATCHES = (2, 3)

Shape = tuple[int, ...]


def write_down_shapes(editor: Editor) -> None:
    """Gives every ``Reshape`` a constant shape, in which 0 or -1 represents the batch size.

    Other operands that are computed only from shapes become constants if they do not depend on the batch size. tf2onnx
    computes shapes when the model runs (``Shape``, ``Gather``, ``Concat``), which some readers of ONNX do not support.
    The shapes are measured by running the graph with two batch sizes.
    """
    reshapes = [node for node in editor.nodes if node.op_type == "Reshape"]
    computed = [name for node in editor.nodes for name in node.input[1:] if _is_computed_from_shapes(editor, name)]
    if not reshapes and not computed:
        return
    read = [name for node in reshapes for name in (node.input[0], node.output[0])]
    first, second = (_run(editor, dict.fromkeys([*read, *computed]), batch) for batch in _BATCHES)
    for name in dict.fromkeys(computed):
        if np.array_equal(first[name], second[name]):
            editor.redirect(name, editor.add_constant(f"{name}_known", first[name]))
    for node in reshapes:
        shape = _constant_shape(
            *((values[node.input[0]].shape, values[node.output[0]].shape) for values in (first, second))
        )
        if shape is not None:
            node.input[1] = editor.add_constant(f"{node.output[0]}_shape", np.array(shape, np.int64))
    editor.drop_unread()


def _constant_shape(first: tuple[Shape, Shape], second: tuple[Shape, Shape]) -> list[int] | None:
    """The constant shape of a ``Reshape``. ``None`` if several sizes depend on the batch size and need a -1.

    Args:
        first, second: Shapes before and after the ``Reshape``, for the first and for the second batch size.
    """
    before, after = zip(first[0], second[0], strict=True), zip(first[1], second[1], strict=True)
    kept = dict(enumerate(before))
    sizes = [
        one if one == other else 0 if kept.get(place) == (one, other) else -1
        for place, (one, other) in enumerate(after)
    ]
    return sizes if sizes.count(-1) <= 1 else None


def _is_computed_from_shapes(editor: Editor, name: str) -> bool:
    """Whether a value is computed by operators from shapes and constants alone."""
    waiting, seen = [name], set[str]()
    while waiting:
        value = waiting.pop()
        if value in seen or editor.constant(value) is not None or not value:
            continue
        seen.add(value)
        node = editor.maker(value)
        if node is None:
            return False
        if node.op_type not in ("Shape", "Size"):
            waiting += node.input
    return bool(seen)


def _run(editor: Editor, names: Iterable[str], batch: int) -> dict[str, NDArray[np.generic]]:
    """Runs a graph on black images, and returns its values by name."""
    model = editor.model("shapes", 17, 8)
    (image,) = model.graph.input
    asked = list(names)
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in asked if name not in present)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    size = [batch, *(side.dim_value for side in image.type.tensor_type.shape.dim[1:])]
    values: Sequence[NDArray[np.generic]] = session.run(asked, {image.name: np.zeros(size, np.float32)})
    return dict(zip(asked, values, strict=True))
