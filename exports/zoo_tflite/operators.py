"""Lists the operators of a TFLite model."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from ai_edge_litert import schema_py_generated as schema

_BUILTIN_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


class Operator(NamedTuple):
    """One operator of a model. Only ``builtin`` operators run wherever TFLite runs. ``flex`` ones need TensorFlow."""

    name: str
    kind: Literal["builtin", "custom", "flex"]


def operators(model: Any) -> tuple[Operator, ...]:
    """The operators of a ``ModelT``, in the order in which they run."""
    kinds = [_operator(code) for code in model.operatorCodes]
    return tuple(kinds[step.opcodeIndex] for graph in model.subgraphs for step in graph.operators or [])


def _operator(code: Any) -> Operator:
    # Codes above 127 were added later and have a separate field.
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin != schema.BuiltinOperator.CUSTOM:
        return Operator(_BUILTIN_NAMES.get(builtin, f"unknown {builtin}"), "builtin")
    name = (code.customCode or b"unnamed").decode()
    return Operator(name, "flex" if name.startswith("Flex") else "custom")
