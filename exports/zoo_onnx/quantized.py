"""8 bits in ONNX: QuantizeLinear and DequantizeLinear around every operation, which runtimes then compute in integers.

tf2onnx converts each ``FakeQuantize`` layer to such a pair. This module changes the input to uint8, stores weights as
int8 with a scale per output channel and biases as int32, removes each ReLU that the stored range implies, and lets
operations that only move values move stored values.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from zoo import ExportError
from zoo_onnx.editor import Editor, attribute
from zoo_onnx.metadata import read_model
from zoo_onnx.runtime import onnxruntime

#: Operations that move values without changing them.
_MOVING = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "MaxPool", "Pad", "Slice", "Identity")
#: Operations that change the type of values.
_CONVERTING = ("QuantizeLinear", "DequantizeLinear", "Cast")
_LARGEST = 127
#: Largest stored bias: half of the range of 32 bits. The other half remains for the products.
_LARGEST_BIAS = 2**30

Array = NDArray[Any]


def store_in_8_bits(editor: Editor) -> None:
    """Changes a graph with pairs of QuantizeLinear and DequantizeLinear into one that runtimes compute in integers."""
    _take_bytes(editor)
    _drop_implied_relus(editor)
    for node in list(editor.nodes):
        if node.op_type in _MOVING:
            _move_stored(editor, node)
    for node in list(editor.nodes):
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            _store_weights(editor, node)


def _take_bytes(editor: Editor) -> None:
    """Removes the QuantizeLinear of the input (scale 1 and zero point 0), so that the model takes bytes."""
    (image,) = editor.inputs
    readers = editor.readers(image.name)
    if [node.op_type for node in readers] != ["QuantizeLinear"]:
        raise ExportError(
            "The model is not prepared for int8: its input is not fake-quantised.",
            "Calibrate the model first, as zoo export does.",
        )
    (store,) = readers
    image.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    editor.redirect(store.output[0], image.name)
    editor.remove(store)


def _drop_implied_relus(editor: Editor) -> None:
    """Removes each ReLU before a QuantizeLinear whose smallest value is 0 and whose largest is at most the cap."""
    for node in [node for node in editor.nodes if node.op_type in ("Relu", "Clip")]:
        store = editor.only_reader(node.output[0])
        if store is None or store.op_type != "QuantizeLinear":
            continue
        scale, zero = (editor.constants[name] for name in store.input[1:3])
        low, high = _clip(editor, node)
        if int(zero) == 0 and low == 0 and float(scale) * 255 <= high * (1 + 1e-6):
            editor.redirect(node.output[0], node.input[0])
            editor.remove(node)


def _clip(editor: Editor, node: NodeProto) -> tuple[float, float]:
    if node.op_type == "Relu":
        return 0.0, np.inf
    limits = [editor.constant(name) if name else None for name in (*node.input[1:], "", "")[:2]]
    low, high = (None if limit is None else float(limit) for limit in limits)
    return (-np.inf if low is None else low), (np.inf if high is None else high)


def _move_stored(editor: Editor, node: NodeProto) -> None:
    """Replaces DequantizeLinear, a move, and possibly QuantizeLinear by the same move of stored values."""
    load = editor.maker(node.input[0])
    if load is None or load.op_type != "DequantizeLinear":
        return
    scale, zero = load.input[1], load.input[2]
    if node.op_type == "Pad":
        value = editor.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros((), np.float32)
        assert value is not None
        stored = np.round(value / editor.constants[scale]) + editor.constants[zero]
        name = editor.add_constant(f"{node.output[0]}_value", stored.astype(np.uint8))
        # Zeros around the image become the padding of the convolution; see _merge_pads.
        if not value.any() and _pads_space(editor, node):
            return
        # The constant channel of the image, 255, is stored as the byte 255.
        node.input[:] = [load.input[0], node.input[1], name]
    else:
        node.input[0] = load.input[0]
    moved = node.output[0]
    node.output[0] = f"{moved}_stored"
    after = helper.make_node("DequantizeLinear", [node.output[0], scale, zero], [moved])
    place = next(place for place, other in enumerate(editor.nodes) if other is node)
    editor.nodes.insert(place + 1, after)
    if not editor.readers(load.output[0]):
        editor.remove(load)
    store = editor.only_reader(moved)
    if store is not None and store.op_type == "QuantizeLinear" and _same(editor, store, after):
        editor.redirect(store.output[0], node.output[0])
        editor.remove(store)
        editor.remove(after)


def _pads_space(editor: Editor, node: NodeProto) -> bool:
    user = editor.only_reader(node.output[0])
    return user is not None and user.op_type == "Conv"


def _same(editor: Editor, store: NodeProto, load: NodeProto) -> bool:
    return all(
        np.array_equal(editor.constants[one], editor.constants[other])
        for one, other in zip(store.input[1:3], load.input[1:3], strict=True)
    )


def _store_weights(editor: Editor, node: NodeProto) -> None:
    """Stores int8 weights and int32 biases for an operation whose input and output are stored in 8 bits."""
    source = editor.maker(node.input[0])
    if source is not None and source.op_type == "Pad":
        source = editor.maker(source.input[0])
    weights = editor.constant(node.input[1])
    if source is None or source.op_type != "DequantizeLinear" or weights is None or not _is_stored(editor, node):
        return
    # Conv has (outputs, inputs, height, width), Gemm and MatMul (inputs, outputs) unless Gemm transposes.
    axis = 0 if node.op_type == "Conv" or attribute(node, "transB", 0) else 1
    others = tuple(place for place in range(weights.ndim) if place != axis)
    scales = np.maximum(np.abs(weights).max(axis=others), 1e-12) / _LARGEST
    bias = editor.constants[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    input_scale = float(editor.constants[source.input[1]])
    if bias is not None:
        # The step of the bias is proportional to that of the weights. If the weights are almost zero, the bias would
        # not fit into 32 bits.
        scales = np.maximum(scales, np.abs(bias) / input_scale / _LARGEST_BIAS)
    shape = [-1 if place == axis else 1 for place in range(weights.ndim)]
    stored = np.clip(np.round(weights / scales.reshape(shape)), -_LARGEST, _LARGEST).astype(np.int8)
    node.input[1] = _stored(editor, node, f"{node.output[0]}_weights", stored, scales, axis)
    if bias is not None:
        bias_scales = scales * input_scale
        stored = np.round(bias / bias_scales).astype(np.int32)
        node.input[2] = _stored(editor, node, f"{node.output[0]}_bias", stored, bias_scales, 0)


def _is_stored(editor: Editor, node: NodeProto) -> bool:
    readers = editor.readers(node.output[0])
    return bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)


def _stored(editor: Editor, node: NodeProto, name: str, values: Array, scales: Array, axis: int) -> str:
    """Adds a constant and its DequantizeLinear, and returns the name of the dequantised values."""
    inputs = [
        editor.add_constant(f"{name}_stored", values),
        editor.add_constant(f"{name}_scale", scales.astype(np.float32)),
    ]
    if values.dtype == np.int8:  # ONNX Runtime computes in integers only if the zero point of the weights is given as 0
        inputs.append(editor.add_constant(f"{name}_zero", np.zeros(len(scales), np.int8)))
    editor.insert_before(node, helper.make_node("DequantizeLinear", inputs, [name], axis=axis))
    return name


def float_operators(path: Path) -> dict[str, int]:
    """Counts the operators of an int8 file that ONNX Runtime computes in float32, by their name.

    ONNX Runtime decides while it loads a file which operators it computes in integers. Therefore the graph that it then
    runs is counted, without the optimisations that depend on the processor. Conversions between types are not counted,
    nor is the softmax that computes an output.

    Raises:
        ExportError: The file is not an ONNX file.
    """
    levels = onnxruntime.GraphOptimizationLevel
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder, "optimized.onnx")
        _load(read_model(path), levels.ORT_ENABLE_EXTENDED, str(optimized))
        model = onnx.load(str(optimized))
    graph = model.graph
    outputs = {value.name for value in graph.output}
    # Loaded again with all values as outputs, because only ONNX Runtime knows the types of its own operators.
    made = {name for node in graph.node for name in node.output if name} - outputs
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(made))
    session = _load(model, levels.ORT_DISABLE_ALL)
    in_float = {value.name for value in session.get_outputs() if value.type == "tensor(float)"}
    return Counter(
        node.op_type
        for node in graph.node
        if in_float.intersection(node.input)
        and in_float.intersection(node.output)
        and node.op_type not in _CONVERTING
        and not (node.op_type == "Softmax" and outputs.intersection(node.output))
    )


def _load(model: onnx.ModelProto, level: Any, optimized: str = "") -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = optimized
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
