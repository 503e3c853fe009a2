"""Lists the operators of a TFLite model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ai_edge_litert import schema_py_generated as schema

from zoo_tflite import model_file

#: Operators that change the type of values.
_CONVERTING = ("QUANTIZE", "DEQUANTIZE", "CAST")
_BUILTIN_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


class Operator(NamedTuple):
    """One operator of a model. Only ``builtin`` operators run wherever TFLite runs. ``flex`` ones need TensorFlow."""

    name: str
    kind: Literal["builtin", "custom", "flex"]


def operators(model: Any) -> tuple[Operator, ...]:
    """The operators of a ``ModelT``, in the order in which they run."""
    kinds = [_operator(code) for code in model.operatorCodes]
    return tuple(kinds[step.opcodeIndex] for graph in model.subgraphs for step in graph.operators or [])


def float_operators(path: Path) -> dict[str, int]:
    """Counts the operators of an int8 file that compute in float32, by their name.

    The type of its tensors determines which kernel of an operator LiteRT runs. Conversions between types are not
    counted, nor is the softmax that computes an output.

    Raises:
        ExportError: The file is not a TFLite file.
    """
    model, _ = model_file.read(path)
    names = iter(operators(model))
    found: Counter[str] = Counter()
    for graph in model.subgraphs:
        in_float = {
            place
            for place, tensor in enumerate(graph.tensors)
            if tensor.type == schema.TensorType.FLOAT32 and model.buffers[tensor.buffer].data is None
        }
        for step in graph.operators or []:
            name = next(names).name
            ends = name == "SOFTMAX" and set(step.outputs) & set(graph.outputs)
            if in_float & set(step.inputs) and in_float & set(step.outputs) and name not in _CONVERTING and not ends:
                found[name] += 1
    return found


def _operator(code: Any) -> Operator:
    # Codes above 127 were added later and have a separate field.
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin != schema.BuiltinOperator.CUSTOM:
        return Operator(_BUILTIN_NAMES.get(builtin, f"unknown {builtin}"), "builtin")
    name = (code.customCode or b"unnamed").decode()
    return Operator(name, "flex" if name.startswith("Flex") else "custom")
