"""Makes a file with batch size 1 resizable to another batch size in the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo_tflite import model_file
from zoo_tflite.operators import operators


def let_reshapes_follow(inside: Any) -> None:
    """Makes every ``RESHAPE`` that keeps the batch size take it from its input: ``[1, n]`` becomes ``[-1, n]``.

    The converter writes the batch size of 1 into the constant, and ``Interpreter.resize_tensor_input`` would fail at
    this operator. For a batch size of 1, both shapes mean the same, and neither needs a further operator.
    """
    graph = inside.subgraphs[0]
    for step, operator in zip(graph.operators, operators(inside), strict=True):
        if operator.name != "RESHAPE" or len(step.inputs) < 2:
            continue
        source, wanted = step.inputs[:2]
        shape = model_file.constant(inside, wanted, "<i4")
        if shape is None or list(shape[:1]) != [1] or list(graph.tensors[source].shape[:1]) != [1] or shape.min() < 1:
            continue
        # a new constant, because other operators may read the existing one
        free = np.array([-1, *shape[1:]], "<i4")
        step.inputs = [source, model_file.add_constant(inside, graph.tensors[wanted].name + b"_free", free)]
        if step.builtinOptions is not None:
            step.builtinOptions.newShape = free
