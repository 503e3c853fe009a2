"""The operators of a TFLite file, and which of them XNNPACK runs."""

from __future__ import annotations

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter
from zoo_tflite import model_file
from zoo_tflite.operators import Operator, operators


def operators_of_file(path: Path) -> tuple[Operator, ...]:
    model, _ = model_file.read(path)
    return operators(model)


def fully_delegated(path: Path) -> bool:
    """Whether XNNPACK, LiteRT's default on a CPU, runs the whole model in one piece.

    LiteRT has no public function for this. Its list of operators contains ``DELEGATE`` for each delegated piece. If one
    piece has the model's input and output, no other operators run.
    """
    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    (image,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    pieces = [step for step in interpreter._get_ops_details() if step["op_name"] == "DELEGATE"]
    if len(pieces) != 1:
        return False
    return image["index"] in pieces[0]["inputs"] and list(pieces[0]["outputs"]) == [answer["index"]]
