"""What a TFLite file is made of, and who runs it."""

from __future__ import annotations

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter
from zoo_tflite import model_file
from zoo_tflite.operators import Operator, operators


def operators_of_file(path: Path) -> tuple[Operator, ...]:
    model, _ = model_file.read(path)
    return operators(model)


def fully_delegated(path: Path) -> bool:
    """Whether XNNPACK runs the whole model in one piece, as LiteRT has it on a CPU without being asked.

    LiteRT says so in no public call. Its list of operators names each piece that was handed over ``DELEGATE``; where
    one of them takes the model's input and gives its output, none of the others is left to run.
    """
    interpreter = Interpreter(model_content=path.read_bytes())
    interpreter.allocate_tensors()
    (image,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    pieces = [step for step in interpreter._get_ops_details() if step["op_name"] == "DELEGATE"]
    if len(pieces) != 1:
        return False
    return image["index"] in pieces[0]["inputs"] and list(pieces[0]["outputs"]) == [answer["index"]]
