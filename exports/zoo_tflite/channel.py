"""Computes the constant channel, which carries the offset of the pixels, by an operator that XNNPACK can run."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo_tflite import model_file
from zoo_tflite.operators import operators

#: Types of the padded tensor, with the NumPy dtype in which the value of the padding is stored.
_DTYPES = {schema.TensorType.FLOAT32: "<f4", schema.TensorType.INT8: "i1"}
#: The stored value of a weight of one in 8 bits.
_LARGEST = 127


def fill_by_convolution(inside: Any) -> None:
    """Replaces the ``PADV2`` of channels by a 1x1 convolution that copies them and adds constant channels.

    XNNPACK can only pad with zeros, so it could not run ``PADV2``, the first operator of a file. The copies are exact,
    also in 8 bits: 127 times a value, times 1/127, is always rounded to this value.
    """
    graph = inside.subgraphs[0]
    for step, operator in zip(graph.operators, operators(inside), strict=True):
        if operator.name != "PADV2":
            continue
        source, widths, number = step.inputs
        kind, quantization = graph.tensors[source].type, graph.tensors[source].quantization
        padding = model_file.constant(inside, widths, "<i4")
        stored = model_file.constant(inside, number, _DTYPES[kind]) if kind in _DTYPES else None
        if padding is None or stored is None or len(padding) != 8 or padding[:7].any():
            continue
        channels, more = int(graph.tensors[source].shape[-1]), int(padding[7])
        kernel = np.eye(channels + more, channels).reshape(channels + more, 1, 1, channels)
        value = stored.astype(np.float64)
        bias = np.zeros(channels + more)
        if kind == schema.TensorType.INT8:
            ones = np.full(channels + more, 1 / _LARGEST)
            bias[channels:] = (value - quantization.zeroPoint[0]) * _LARGEST
            kernel_tensor = model_file.add_constant(inside, b"channel_kernel", (kernel * _LARGEST).astype("i1"), ones)
            bias_tensor = model_file.add_constant(
                inside, b"channel_bias", bias.round().astype("<i4"), ones * quantization.scale[0]
            )
        else:
            bias[channels:] = value
            kernel_tensor = model_file.add_constant(inside, b"channel_kernel", kernel.astype("<f4"))
            bias_tensor = model_file.add_constant(inside, b"channel_bias", bias.astype("<f4"))
        step.opcodeIndex = _code(inside, schema.BuiltinOperator.CONV_2D)
        step.builtinOptionsType = schema.BuiltinOptions.Conv2DOptions
        step.builtinOptions = schema.Conv2DOptionsT()
        step.builtinOptions.padding = schema.Padding.VALID
        step.builtinOptions.strideH = step.builtinOptions.strideW = 1
        step.inputs = [source, kernel_tensor, bias_tensor]


def _code(inside: Any, builtin: int) -> int:
    """The index of an operator among the model's codes. It is added if it is missing."""
    for place, code in enumerate(inside.operatorCodes):
        if max(code.builtinCode, code.deprecatedBuiltinCode) == builtin:
            return place
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    code.version = 1
    inside.operatorCodes.append(code)
    return len(inside.operatorCodes) - 1
