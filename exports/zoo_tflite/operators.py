"""Which operators a TFLite file is made of, and who runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from ai_edge_litert import schema_py_generated as schema

from zoo_tflite import model_file

_BUILTIN_NAMES = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}


class Operator(NamedTuple):
    """One step of a model. Only ``builtin`` ones run wherever TFLite does; ``flex`` ones need TensorFlow."""

    name: str
    kind: Literal["builtin", "custom", "flex"]


def operators(model: Any) -> tuple[Operator, ...]:
    """Those of a ``ModelT``, in the order they run."""
    kinds = [_operator(code) for code in model.operatorCodes]
    return tuple(kinds[step.opcodeIndex] for graph in model.subgraphs for step in graph.operators or [])


def operators_of_file(path: Path) -> tuple[Operator, ...]:
    """Raises ``ExportError`` for a file that is damaged or not there."""
    model, _ = model_file.read(path)
    return operators(model)


def fully_delegated(path: Path) -> bool:
    """Whether XNNPACK runs the whole model in one piece, as LiteRT has it on a CPU without being asked.

    LiteRT says so in no public call. Its list of operators names each piece that was handed over ``DELEGATE``; where
    one of them takes the model's input and gives its output, none of the others is left to run.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    (image,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    pieces = [step for step in interpreter._get_ops_details() if step["op_name"] == "DELEGATE"]
    if len(pieces) != 1:
        return False
    return image["index"] in pieces[0]["inputs"] and list(pieces[0]["outputs"]) == [answer["index"]]


def _operator(code: Any) -> Operator:
    # Codes above 127 came later and have a field of their own.
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin != schema.BuiltinOperator.CUSTOM:
        return Operator(_BUILTIN_NAMES.get(builtin, f"unknown {builtin}"), "builtin")
    name = (code.customCode or b"unnamed").decode()
    return Operator(name, "flex" if name.startswith("Flex") else "custom")
