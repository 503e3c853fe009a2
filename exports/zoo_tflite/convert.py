"""Converts a Keras model to a TFLite file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.schema_py_generated import TensorType
from tensorflow.lite.python.convert_phase import ConverterError

from zoo import ExportError, atomic
from zoo.exported import INPUT, MAP, OUTPUT
from zoo.quiet import stderr_aside
from zoo_tflite import batch, channel, failure, half, model_file
from zoo_tflite.operators import operators

if TYPE_CHECKING:
    import keras


def convert(model: keras.Model, path: Path, precision: str) -> None:
    """Writes a TFLite file of built-in operators. The same model results in the same bytes.

    Args:
        model: Functional model on the TensorFlow backend, from ``image``, ``(None, height, width, 3)`` float32, to
            probabilities, ``(None, classes)`` float32, and possibly an evidence map.
        path: Path of the file, which is written atomically.
        precision: ``float32``, ``float16`` (weights stored in float16, computation in float32), or ``int8``, which
            computes in 8 bits wherever the model applies ``tf.quantization.fake_quant_with_min_max_args`` to a tensor,
            with weights quantised per channel. A softmax at the end stays in float32.

    The file takes ``image`` (float32, or for ``int8`` uint8 with scale 1 and zero point 0) and returns
    ``probabilities`` (float32), both with batch size 1 and in the signature ``serving_default``.

    Raises:
        ExportError: TFLite has no operator for a layer, or the model is not quantised as ``int8`` requires.
    """
    with stderr_aside(told=ExportError):
        content = _translate(model, precision)
    inside = model_file.parse(content)
    _in_order(inside)
    _check_operators(inside)
    _check_tensors(inside, precision)
    _answer_in_float(inside)
    channel.fill_by_convolution(inside)
    batch.let_reshapes_follow(inside)
    if precision == "float16":
        half.store_in_half(inside)
    _name(inside, f"{model.name}, {precision}: {INPUT} (RGB pixels 0..255) to {OUTPUT}")
    atomic.write_bytes(path, model_file.pack(inside))


def _translate(model: keras.Model, precision: str) -> bytes:
    # TFLiteConverter.from_keras_model does the same through ExportArchive. It takes twice the time, prints the list of
    # variables on stdout, and names the output output_0. If the SavedModel cannot be created, it silently continues
    # with another graph, like from_concrete_functions; here that is an error.
    traced = tf.function(
        lambda image: dict(zip((OUTPUT, MAP), _all_of(model(image, training=False)), strict=False)),
        input_signature=[tf.TensorSpec((1, *model.inputs[0].shape[1:]), tf.float32, name=INPUT)],
    )
    holder = tf.Module()
    holder.held = [variable.value for variable in model.variables]
    try:
        signature = traced.get_concrete_function()
    except Exception as error:
        # A layer may raise any error for a symbolic tensor.
        raise ExportError(
            f"TensorFlow cannot trace model '{model.name}': {failure.brief(str(error))}",
            "A layer runs code outside TensorFlow's graph, such as NumPy.",
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        try:
            tf.saved_model.save(holder, folder, signatures=signature)
        except (OSError, tf.errors.OpError) as error:
            raise ExportError(
                f"Could not write to the temporary folder {folder}: {failure.brief(str(error))}",
                "Free some space there, or set TMPDIR to another folder.",
            ) from error
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if precision == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.inference_input_type = tf.uint8
        try:
            return bytes(converter.convert())
        except ConverterError as error:
            raise failure.unsupported(str(error), model) from error
        except ValueError as error:
            if precision == "int8" and "inference_input_type" in str(error):
                raise _not_quantised("no tensor of the model is fake-quantised") from error
            raise


def _all_of(outputs: Any) -> list[Any]:
    return outputs if isinstance(outputs, list) else [outputs]


def _in_order(inside: Any) -> None:
    """Orders the outputs: first the probabilities, then the map, if there is one. The signature names them."""
    graph, (signature,) = inside.subgraphs[0], inside.signatureDefs
    tensors = {bytes(entry.name).decode(): entry.tensorIndex for entry in signature.outputs}
    graph.outputs = [tensors[name] for name in (OUTPUT, MAP) if name in tensors]


def _check_operators(inside: Any) -> None:
    foreign = sorted({operator.name for operator in operators(inside) if operator.kind != "builtin"})
    if foreign:
        raise ExportError(f"The converted model needs operators that TFLite does not have: {', '.join(foreign)}.")


def _check_tensors(inside: Any, precision: str) -> None:
    graph = inside.subgraphs[0]
    image = graph.tensors[graph.inputs[0]]
    for output in graph.outputs:
        kind = graph.tensors[output].type
        if kind != TensorType.FLOAT32:
            raise ExportError(f"The converted model does not return float32. Received: TensorType {kind}.")
    if precision != "int8":
        return
    if image.type != TensorType.UINT8:
        raise _not_quantised("its input is not fake-quantised to 0..255")
    scale, zero_point = image.quantization.scale, image.quantization.zeroPoint
    if not (np.array_equal(scale, [1]) and np.array_equal(zero_point, [0])):
        raise _not_quantised(f"the scale of its input is {scale} and the zero point {zero_point}; expected 1 and 0")


def _not_quantised(reason: str) -> ExportError:
    return ExportError(
        f"The model is not prepared for int8: {reason}.", "Calibrate the model first, as zoo export does."
    )


def _answer_in_float(inside: Any) -> None:
    """Exchanges an 8-bit ``SOFTMAX`` and the ``DEQUANTIZE`` after it, so that the softmax is in float32.

    The converter quantises every softmax to steps of 1/256, even if the model does not request it. With many classes,
    most probabilities would be 0, and the largest would be equal. One row of numbers in float32 costs nothing.
    """
    graph = inside.subgraphs[0]
    makers = {output: place for place, step in enumerate(graph.operators) for output in step.outputs}
    names = [operator.name for operator in operators(inside)]
    last = makers[graph.outputs[0]]
    first = makers.get(graph.operators[last].inputs[0])
    if first is None or (names[first], names[last]) != ("SOFTMAX", "DEQUANTIZE"):
        return
    softmax, dequantize = graph.operators[first], graph.operators[last]
    (between,) = softmax.outputs
    dequantize.inputs, dequantize.outputs, softmax.inputs, softmax.outputs = (
        softmax.inputs,
        softmax.outputs,
        dequantize.inputs,
        dequantize.outputs,
    )
    graph.operators[first], graph.operators[last] = dequantize, softmax
    graph.tensors[between].type = TensorType.FLOAT32
    graph.tensors[between].quantization = None


def _name(inside: Any, description: str) -> None:
    """Names the tensors, and removes metadata that does not describe the model."""
    graph = inside.subgraphs[0]
    graph.tensors[graph.inputs[0]].name = INPUT
    for output, name in zip(graph.outputs, (OUTPUT, MAP), strict=False):
        graph.tensors[output].name = name
    inside.description = description
    # The version of TensorFlow and a hash of the SavedModel's graph are removed, because zoo's metadata contain
    # versions.
    model_file.drop_metadata_buffer(inside, b"CONVERSION_METADATA")
