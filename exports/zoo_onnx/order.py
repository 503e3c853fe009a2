"""Flattens images in the order in which they are in memory."""

from __future__ import annotations

import numpy as np
from onnx import NodeProto

from zoo_onnx.editor import Editor, attribute

#: Operations on single values, whose order does not matter.
_ANY_ORDER = ("QuantizeLinear", "DequantizeLinear", "Relu", "Clip")


def flatten_in_order(editor: Editor) -> None:
    """Flattens images with channels first, and reorders the rows of the matrix after each of them accordingly.

    Keras flattens with channels last, so tf2onnx transposes every image before it is flattened.
    """
    shapes = editor.shapes()
    for transpose in [node for node in editor.nodes if node.op_type == "Transpose"]:
        product = _matrix_after(editor, transpose)
        if product is None or attribute(transpose, "perm") != [0, 2, 3, 1]:
            continue
        height, width, channels = shapes.get(transpose.output[0], (None,) * 4)[1:]
        if not (height and width and channels):
            continue
        matrix = editor.constants[product.input[1]]
        if len(matrix) != height * width * channels:
            continue
        rows = np.arange(len(matrix)).reshape(height, width, channels).transpose(2, 0, 1).reshape(-1)
        product.input[1] = editor.add_constant(f"{product.input[1]}_in_order", matrix[rows])
        editor.redirect(transpose.output[0], transpose.input[0])
        editor.remove(transpose)


def _matrix_after(editor: Editor, transpose: NodeProto) -> NodeProto | None:
    """The product with a constant matrix that reads a flattened image, if nothing else reads this image."""
    node: NodeProto | None = transpose
    flattened = False
    while node is not None:
        before, node = node, editor.only_reader(node.output[0])
        if node is None or node.input[0] != before.output[0]:
            return None
        if node.op_type == "Reshape" and not flattened:
            shape = editor.constant(node.input[1])
            flattened = shape is not None and len(shape) == 2
        elif node.op_type == "MatMul" and flattened:
            return node if editor.constant(node.input[1]) is not None else None
        elif node.op_type not in _ANY_ORDER:
            return None
    return None
