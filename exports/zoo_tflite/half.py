"""Stores weights in float16; the runtime converts them to float32 when it loads the file."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

#: Tensors with fewer elements stay in float32. They are a tenth of the weights, and float16 affects them most: with all
#: weights in float16, the probabilities of MobileNetV2 change by 0.012, and with this limit by 0.002
#: (docs/decisions/0007-one-quantised-keras-model.md).
SMALLEST = 32_768
#: Version of the operator DEQUANTIZE, the first that supports float16.
_VERSION = 3


def store_in_half(inside: Any) -> None:
    """Converts large constants to float16, each with a DEQUANTIZE before all other operators, as the converter does.

    Runtimes run the DEQUANTIZE once, when they load the file.
    """
    graph = inside.subgraphs[0]
    code = len(inside.operatorCodes)
    steps = []
    for place, tensor in enumerate(list(graph.tensors)):
        content = inside.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.FLOAT32 or content is None or len(content) < 4 * SMALLEST:
            continue
        values = np.frombuffer(np.asarray(content, np.uint8).tobytes(), "<f4")
        limit = float(np.finfo(np.float16).max)
        half = copy.copy(tensor)
        half.type = schema.TensorType.FLOAT16
        half.name = tensor.name + b"_half" if isinstance(tensor.name, bytes) else f"{tensor.name}_half"
        half.buffer = len(inside.buffers)
        inside.buffers.append(
            schema.BufferT(np.frombuffer(np.clip(values, -limit, limit).astype("<f2").tobytes(), np.uint8))
        )
        tensor.buffer = 0  # the empty buffer
        step = schema.OperatorT()
        step.opcodeIndex, step.inputs, step.outputs = code, [len(graph.tensors)], [place]
        graph.tensors.append(half)
        steps.append(step)
    if steps:
        dequantize = schema.OperatorCodeT()
        dequantize.builtinCode = dequantize.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
        dequantize.version = _VERSION
        inside.operatorCodes.append(dequantize)
        graph.operators[:0] = steps
        _drop_unused_buffers(inside)


def _drop_unused_buffers(inside: Any) -> None:
    """Empties buffers that are used by no tensor and no metadata. The numbers of the other buffers do not change."""
    used = {tensor.buffer for graph in inside.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in inside.metadata or []}
    for place, buffer in enumerate(inside.buffers):
        if place not in used:
            buffer.data = None
