"""Pictures that are flattened: in the order they lie, and to a length that is known."""

from __future__ import annotations

import math

import numpy as np
from onnx import NodeProto

from zoo_onnx.editor import Editor, attribute

Shape = tuple[int | None, ...]

#: Operations on every value by itself, whatever their order.
_ANY_ORDER = ("QuantizeLinear", "DequantizeLinear", "Relu", "Clip")


def flatten_in_order(editor: Editor) -> None:
    """A picture is flattened as it lies, channels first; the matrix after it has its rows in that order instead.

    Keras flattens with channels last. tf2onnx transposes every picture for that, and asks for its shape, of which only
    the batch is free.
    """
    shapes = editor.shapes()
    for reshape in [node for node in editor.nodes if node.op_type == "Reshape"]:
        _fix_shape(editor, reshape, shapes)
    editor.drop_unread()
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


def _fix_shape(editor: Editor, reshape: NodeProto, shapes: dict[str, Shape]) -> None:
    """The shape to reshape to as a constant, where all of it but the batch is known."""
    sizes = _sizes(editor, reshape.input[1])
    before = shapes.get(reshape.input[0], ())[1:]
    known = [size for size in sizes[1:] if size is not None]
    if sizes[:1] != [None] or len(known) != len(sizes) - 1 or len(shapes.get(reshape.output[0], ())) != len(sizes):
        return
    if math.prod(known) == math.prod(size or 0 for size in before):
        # As many numbers an image as before: what is left is the batch, 0 in ONNX.
        reshape.input[1] = editor.add_constant(f"{reshape.output[0]}_shape", np.array([0, *known], np.int64))


def _sizes(editor: Editor, name: str) -> list[int | None]:
    """What a shape says, ``None`` where it has to be computed."""
    constant = editor.constant(name)
    if constant is not None:
        return [int(size) if size > 0 else None for size in constant.reshape(-1)]
    node = editor.maker(name)
    if node is not None and node.op_type == "Cast":
        return _sizes(editor, node.input[0])
    if node is not None and node.op_type == "Concat":
        return [size for part in node.input for size in _sizes(editor, part)]
    return [None]


def _matrix_after(editor: Editor, transpose: NodeProto) -> NodeProto | None:
    """The product with a constant matrix that reads a flattened picture, and nothing else does."""
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
