"""Converts a prepared Keras model to an ONNX file with tf2onnx."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
from onnx import helper

from zoo import ExportError
from zoo.atomic import write_bytes
from zoo.exported import INPUT, MAP, OUTPUT
from zoo_onnx.additions import settle_additions
from zoo_onnx.editor import Editor, attribute, set_attribute
from zoo_onnx.order import flatten_in_order
from zoo_onnx.quantized import store_in_8_bits
from zoo_onnx.shapes import write_down_shapes

#: These versions are supported by ONNX Runtime 1.13 of October 2022 and OpenCV 4.7, and have every operator that a
#: classifier needs.
OPSET, IR_VERSION = 17, 8

#: Tensors with fewer elements stay in float32. They are a tenth of the weights, and float16 affects them most: with all
#: weights in float16, the probabilities of MobileNetV2 change by 0.012, and with this limit by 0.002
#: (docs/decisions/0007-one-quantised-keras-model.md).
SMALLEST = 32_768


def convert(model: keras.Model, path: Path, precision: str) -> None:
    """Writes an ONNX file.

    Args:
        model: Model prepared by the harness, for ``int8`` with ``FakeQuantize`` layers.
        path: Path of the file, which is written atomically.
        precision: ``float32``, ``float16`` (weights stored in float16, computation in float32), or ``int8``.

    Raises:
        ExportError: An operation of the model has no ONNX counterpart. The message names it.
    """
    editor = _translate(model)
    _name_ends(editor)
    _transpose_first(editor)
    _merge_pads(editor)
    write_down_shapes(editor)
    flatten_in_order(editor)
    _join_bias(editor)
    editor.shorten_names()
    if precision == "float16":
        _store_in_half(editor)
    if precision == "int8":
        store_in_8_bits(editor)
        _merge_pads(editor)
        settle_additions(editor)
    made = editor.model(model.name, OPSET, IR_VERSION)
    onnx.checker.check_model(made, full_check=True)
    write_bytes(path, made.SerializeToString(deterministic=True))


def _translate(model: keras.Model) -> Editor:
    import tensorflow as tf
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)  # its messages are part of zoo's error
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name=INPUT)]
    function = tf.function(lambda image: model(image, training=False))
    translate = partial(tf2onnx.convert.from_function, function, signature, opset=OPSET, custom_op_handlers=_HANDLERS)
    try:
        with warnings.catch_warnings(), _grouped_by_tensorflow(model):
            warnings.simplefilter("ignore")  # warnings of onnx and NumPy about calls in tf2onnx
            try:
                with _without_copies():
                    translated, _ = translate()
            except Exception:
                translated, _ = translate()  # leaves out optimisations that fail
            traced = function.get_concrete_function(*signature)
    except Exception as error:  # tf2onnx raises ValueError, KeyError, AssertionError and others
        raise ExportError(
            f"tf2onnx cannot translate '{model.name}': {_reason(error, model)}",
            "Use another layer instead, or another format.",
        ) from error
    foreign = {node.op_type: node for node in translated.graph.node if not _is_onnx(node)}
    if foreign:
        told = [f"{name}{_layer(node.name, model)}" for name, node in sorted(foreign.items())]
        raise ExportError(
            f"ONNX has no operator for {', '.join(told)}.", "Use another layer instead, or another format."
        )
    inner = {node.op_type: node for node in translated.graph.node if any(part.HasField("g") for part in node.attribute)}
    if inner:
        told = [f"{name}{_layer(node.name, model)}" for name, node in sorted(inner.items())]
        raise ExportError(
            f"The model computes in a loop or a branch, which becomes {', '.join(told)}: this exporter writes graphs "
            "without them.",
            "Use layers that compute without loops and branches, or another format.",
        )
    editor = Editor(translated)
    _hold_tensors(editor, traced)
    return editor


@contextlib.contextmanager
def _without_copies() -> Iterator[None]:
    """Makes tf2onnx optimise the graph in place within the block. An optimisation that fails is then an error.

    Otherwise, it copies the graph with all weights before each of its optimisations, and the copies stay until the
    garbage collector finds them. For EfficientNet-Lite2, the peak memory was 2.4 instead of 1.9 GB.
    """
    name = "TF2ONNX_CATCH_ERRORS"
    before = os.environ.get(name)
    os.environ[name] = "FALSE"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _grouped_by_tensorflow(model: keras.Model) -> Iterator[None]:
    """Makes grouped convolutions call TensorFlow's own operation, which supports groups, within the block.

    Otherwise, Keras calls a function that XLA must compile, because training on a CPU needs it. A converter cannot
    translate this function into one convolution.
    """
    import tensorflow as tf

    grouped = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D) and layer.groups > 1]
    for layer in grouped:

        def convolution_op(inputs: Any, kernel: Any, layer: Any = layer) -> Any:
            return tf.nn.conv2d(inputs, kernel, layer.strides, layer.padding.upper(), dilations=layer.dilation_rate)

        layer.convolution_op = convolution_op
    try:
        yield
    finally:
        for layer in grouped:
            del layer.convolution_op


def _hold_tensors(editor: Editor, traced: Any) -> None:
    """Makes tensors that a layer has in addition to its weights constants. For TensorFlow, they are inputs."""
    held = [tensor for tensor in traced.captured_inputs if tensor.dtype.name != "resource"]
    (_, *inputs) = editor.inputs
    for value, tensor in zip(inputs, held, strict=True):
        editor.add_constant(value.name, tensor.numpy())
        editor.inputs.remove(value)


def _translate_erfc(graph: Any, node: Any, name: str, arguments: list[Any]) -> None:
    """Translates erfc, which TensorFlow's exact GELU uses, to 1 - erf, because ONNX has erf."""
    value, shape, dtype = node.output[0], graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    one = graph.make_const(f"{name}_one", np.array(1, np.float32)).output[0]
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", list(node.input), shapes=[shape], dtypes=[dtype])
    graph.make_node("Sub", [one, erf.output[0]], outputs=[value], name=name, shapes=[shape], dtypes=[dtype])


def _translate_expm1(graph: Any, node: Any, name: str, arguments: list[Any]) -> None:
    """Translates expm1, which CELU uses, to exp - 1. Near zero, the rounding error is below 1e-7."""
    value, shape, dtype = node.output[0], graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    one = graph.make_const(f"{name}_one", np.array(1, np.float32)).output[0]
    graph.remove_node(node.name)
    exponential = graph.make_node("Exp", list(node.input), shapes=[shape], dtypes=[dtype])
    graph.make_node("Sub", [exponential.output[0], one], outputs=[value], name=name, shapes=[shape], dtypes=[dtype])


#: Operations of TensorFlow that tf2onnx does not support, but that ONNX operators can express.
_HANDLERS: dict[str, Any] = {"Erfc": (_translate_erfc, []), "Expm1": (_translate_expm1, [])}


def _is_onnx(node: onnx.NodeProto) -> bool:
    return node.domain in ("", "ai.onnx") and onnx.defs.has(node.op_type, OPSET)


def _reason(error: Exception, model: keras.Model) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{text[:300]}{_layer(str(error), model)}"


def _layer(text: str, model: keras.Model) -> str:
    """The layer that a text names, in parentheses. TensorFlow may have appended a number to the name."""
    names = [layer.name for layer in model.layers if re.search(rf"\b{re.escape(layer.name)}(_\d+)?\b", text)]
    return f" (layer '{max(names, key=len)}')" if names else ""


def _name_ends(editor: Editor) -> None:
    (image,) = editor.inputs
    editor.rename(image.name, INPUT)
    for output, name in zip(editor.outputs, (OUTPUT, MAP), strict=False):
        editor.rename(output.name, name)
    for value in (image, *editor.outputs):
        dimension = value.type.tensor_type.shape.dim[0]
        dimension.Clear()
        dimension.dim_param = "batch"


def _transpose_first(editor: Editor) -> None:
    """Adds the constant channel after the transposition to channels first instead of before, as one block.

    Measured on MobileNetV2, ONNX Runtime 1.32, one thread: 35 microseconds instead of 395. The flat shape between the
    two Reshapes prevents ONNX Runtime from reversing this order for int8.
    """
    for pad in [node for node in editor.nodes if node.op_type == "Pad"]:
        transpose = editor.only_reader(pad.output[0])
        pads = editor.constant(pad.input[1])
        image = next((value for value in editor.inputs if value.name in _sources(editor, pad)), None)
        if transpose is None or pads is None or image is None or pads.tolist() != [0, 0, 0, 0, 0, 0, 0, 1]:
            continue
        if transpose.op_type != "Transpose" or attribute(transpose, "perm") != [0, 3, 1, 2]:
            continue
        height, width, channels = (side.dim_value for side in image.type.tensor_type.shape.dim[1:])
        name, last = pad.output[0], transpose.output[0]
        row = editor.add_constant(f"{name}_row", np.array([0, channels * height * width]))
        more = editor.add_constant(f"{name}_more", np.array([0, 0, 0, height * width]))
        picture = editor.add_constant(f"{name}_picture", np.array([0, channels + 1, height, width]))
        transpose.input[0], transpose.output[0] = pad.input[0], f"{name}_transposed"
        editor.remove(transpose)
        editor.replace(
            pad,
            transpose,
            helper.make_node("Reshape", [f"{name}_transposed", row], [f"{name}_flat"]),
            helper.make_node("Pad", [f"{name}_flat", more, pad.input[2]], [f"{name}_padded"]),
            helper.make_node("Reshape", [f"{name}_padded", picture], [last]),
        )


def _sources(editor: Editor, node: onnx.NodeProto) -> list[str]:
    """The value that a node reads, and the values from which this value was quantised or dequantised."""
    names = [node.input[0]]
    while (maker := editor.maker(names[-1])) is not None and maker.op_type in ("QuantizeLinear", "DequantizeLinear"):
        names.append(maker.input[0])
    return names


def _merge_pads(editor: Editor) -> None:
    """Moves padding with zeros into the convolution after it."""
    for pad in [node for node in editor.nodes if node.op_type == "Pad"]:
        user = editor.only_reader(pad.output[0])
        pads = editor.constant(pad.input[1])
        value = editor.constant(pad.input[2]) if len(pad.input) > 2 and pad.input[2] else np.zeros(())
        if (
            user is None
            or user.op_type != "Conv"
            or pads is None
            or value is None
            or attribute(pad, "mode", b"constant") != b"constant"
            or attribute(user, "auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID")
        ):
            continue
        before, after = np.split(pads, 2)
        if value.any() or before[:2].any() or after[:2].any() or (pads < 0).any():
            continue
        present = np.array(attribute(user, "pads", [0] * (2 * (len(before) - 2))))
        set_attribute(user, "pads", (present + np.concatenate([before[2:], after[2:]])).tolist())
        set_attribute(user, "auto_pad", "NOTSET")
        editor.redirect(pad.output[0], pad.input[0])
        editor.remove(pad)


def _join_bias(editor: Editor) -> None:
    """Joins a product with a constant matrix and a following sum with a constant row to one operation, Gemm."""
    shapes = editor.shapes()
    for product in [node for node in editor.nodes if node.op_type == "MatMul"]:
        if len(shapes.get(product.output[0], ())) != 2:  # Gemm only supports two axes; a transformer has three
            continue
        total = editor.only_reader(product.output[0])
        matrix = editor.constant(product.input[1])
        if total is None or total.op_type != "Add" or matrix is None or matrix.ndim != 2:
            continue
        bias = next((name for name in total.input if name != product.output[0]), "")
        row = editor.constant(bias)
        if row is None or row.shape != (matrix.shape[1],):
            continue
        joined = helper.make_node("Gemm", [product.input[0], product.input[1], bias], list(total.output))
        editor.replace(total, joined)
        editor.remove(product)


def _store_in_half(editor: Editor) -> None:
    """Stores weights as float16, with a cast to float32. Runtimes do this cast once, when they load the file."""
    for name, value in list(editor.constants.items()):
        if value.dtype != np.float32 or value.size < SMALLEST or not editor.readers(name):
            continue
        cast = helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT)
        # Weights outside the range of float16 are clipped. The verification shows the effect.
        limit = float(np.finfo(np.float16).max)
        editor.constants[f"{name}_half"] = np.clip(value, -limit, limit).astype(np.float16)
        del editor.constants[name]
        editor.nodes.insert(0, cast)
