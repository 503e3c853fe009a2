"""Operators of exported files that compute shapes when the file runs."""

from __future__ import annotations

from pathlib import Path

import onnx
from ai_edge_litert.schema_py_generated import TensorType
from zoo_tflite import model_file
from zoo_tflite.operators import operators


def shape_operators(path: Path) -> set[str]:
    """Names of the operators that compute integers of 32 or 64 bits, which are shapes in a classifier."""
    return _in_tflite(path) if path.suffix == ".tflite" else _in_onnx(path)


def _in_tflite(path: Path) -> set[str]:
    model, _ = model_file.read(path)
    (graph,) = model.subgraphs
    whole = (TensorType.INT32, TensorType.INT64)
    return {
        operator.name
        for step, operator in zip(graph.operators, operators(model), strict=True)
        if any(graph.tensors[output].type in whole for output in step.outputs)
    }


def _in_onnx(path: Path) -> set[str]:
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    types = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.value_info, *model.graph.output)}
    whole = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
    return {node.op_type for node in model.graph.node if any(types[output] in whole for output in node.output)}
