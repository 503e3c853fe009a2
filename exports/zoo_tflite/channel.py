"""The constant channel that carries the offset of the pixels, made by an operator that XNNPACK runs."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo_tflite.operators import operators

_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
}
#: What is padded, and as what its padding is stored.
_DTYPES = {schema.TensorType.FLOAT32: "<f4", schema.TensorType.INT8: "i1"}
#: In 8 bits, a weight of one.
_LARGEST = 127


def fill_by_convolution(inside: Any) -> None:
    """Turns ``PADV2`` of channels into a convolution of one place that copies them and adds constant ones.

    XNNPACK pads with zeros only, so the first operator of a file would run outside of it. The copies are exact, in 8
    bits too: 127 times a value, times 1/127, is nearer to it than any rounding.
    """
    graph = inside.subgraphs[0]
    for step, operator in zip(graph.operators, operators(inside), strict=True):
        if operator.name != "PADV2":
            continue
        source, widths, number = step.inputs
        kind, quantization = graph.tensors[source].type, graph.tensors[source].quantization
        padding = _constant(inside, widths, "<i4").reshape(-1, 2)
        if kind not in _DTYPES or len(padding) != 4 or padding[:3].any() or padding[3, 0]:
            continue
        channels, more = int(graph.tensors[source].shape[-1]), int(padding[3, 1])
        kernel = np.eye(channels + more, channels).reshape(channels + more, 1, 1, channels)
        value = _constant(inside, number, _DTYPES[kind]).astype(np.float64)
        bias = np.zeros(channels + more)
        if kind == schema.TensorType.INT8:
            ones = np.full(channels + more, 1 / _LARGEST)
            bias[channels:] = (value - quantization.zeroPoint[0]) * _LARGEST
            kernel_tensor = _add(inside, b"channel_kernel", (kernel * _LARGEST).astype("i1"), ones)
            bias_tensor = _add(inside, b"channel_bias", bias.round().astype("<i4"), ones * quantization.scale[0])
        else:
            bias[channels:] = value
            kernel_tensor = _add(inside, b"channel_kernel", kernel.astype("<f4"))
            bias_tensor = _add(inside, b"channel_bias", bias.astype("<f4"))
        step.opcodeIndex = _code(inside, schema.BuiltinOperator.CONV_2D)
        step.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
        step.builtinOptions = schema.Conv2DOptionsT()
        step.builtinOptions.padding = schema.Padding.VALID
        step.builtinOptions.strideH = step.builtinOptions.strideW = 1
        step.inputs = [source, kernel_tensor, bias_tensor]


def _constant(inside: Any, tensor: int, dtype: str) -> np.ndarray[Any, Any]:
    content = inside.buffers[inside.subgraphs[0].tensors[tensor].buffer].data
    return np.frombuffer(np.asarray(content, np.uint8).tobytes(), dtype)


def _add(inside: Any, name: bytes, values: np.ndarray[Any, Any], scale: np.ndarray[Any, Any] | None = None) -> int:
    """Adds a constant, and returns the number of its tensor.

    Args:
        inside: The model.
        name: Of the tensor.
        values: float32, int8 or int32.
        scale: Of each channel, along the first axis, where the values are stored ones.
    """
    graph = inside.subgraphs[0]
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, list(values.shape), len(inside.buffers)
    tensor.type = _TYPES[values.dtype.name]
    if scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = scale.astype(np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(scale), np.int64)
    inside.buffers.append(schema.BufferT(np.frombuffer(values.tobytes(), np.uint8)))
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _code(inside: Any, builtin: int) -> int:
    """The place of an operator among the model's codes, where it is put if it is not there."""
    for place, code in enumerate(inside.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return place
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    inside.operatorCodes.append(code)
    return len(inside.operatorCodes) - 1
