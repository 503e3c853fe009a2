"""Operators of int8 files that compute in float32: those that are named are those that the runtimes run in float32."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

from tests.conftest import PhotoFolder, Zoo
from tests.exporting.models import classifier, pixels
from zoo.exporting.fold import fold
from zoo.exporting.quantize import quantize
from zoo.parity import float_operators_text
from zoo.registry import exporters

CONVERSIONS = {"QuantizeLinear", "DequantizeLinear", "QUANTIZE", "DEQUANTIZE"}


def build(shape: tuple[int, int, int] = (16, 16, 3)) -> keras.Model:
    """A convolution in 8 bits, and an ELU, a normalisation and a GELU, which do not all have 8-bit kernels."""

    def body(x):
        x = layers.ELU(name="elu")(layers.Conv2D(8, 3, strides=2, name="stem")(x))
        x = layers.LayerNormalization(epsilon=1e-3, name="norm")(x)
        return layers.Conv2D(8, 1, activation="gelu", name="top")(layers.ReLU()(layers.Conv2D(8, 1, name="wide")(x)))

    return classifier(body, shape)


def run_by_onnx_runtime(path: Path, folder: Path) -> Counter[str]:
    """The operators with a float32 result that ONNX Runtime runs, from its profile of a prediction."""
    options = onnxruntime.SessionOptions()
    # Without changes of the layout, which add transpositions on some processors.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    session.run(None, {image.name: np.zeros((1, *image.shape[1:]), np.uint8)})
    steps = [event["args"] for event in json.loads(Path(session.end_profiling()).read_text()) if event["cat"] == "Node"]
    return Counter(
        step["op_name"]
        for step in steps
        if "output_type_shape" in step and any("float" in output for output in step["output_type_shape"])
    )


def run_by_litert(path: Path) -> Counter[str]:
    """The operators with a float32 result that LiteRT runs, from its own list."""
    interpreter = Interpreter(
        model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    dtypes = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    return Counter(
        step["op_name"]
        for step in interpreter._get_ops_details()
        if any(dtypes[output] == np.float32 for output in step["outputs"])
    )


@pytest.mark.parametrize("name", ["onnx", "tflite"])
def test_exactly_the_operators_that_run_in_float32_are_counted(name: str, tmp_path: Path) -> None:
    exporter = exporters().get(name)
    path = tmp_path / f"model{exporter.suffix}"
    exporter.convert(quantize(fold(build()), pixels(16)).model, path, "int8")
    expected = run_by_onnx_runtime(path, tmp_path) if name == "onnx" else run_by_litert(path)
    expected -= Counter({"Softmax": 1, "SOFTMAX": 1})  # the probabilities
    expected = Counter({operator: count for operator, count in expected.items() if operator not in CONVERSIONS})
    assert exporter.float_operators is not None
    found = exporter.float_operators(path)
    assert found == expected
    assert {"onnx": "Elu", "tflite": "ELU"}[name] in found
    assert not {"Conv", "FusedConv", "CONV_2D", "Gemm", "FULLY_CONNECTED"} & found.keys()


def test_an_export_names_them_everywhere(zoo: Zoo, photo_folder: PhotoFolder, tmp_path: Path) -> None:
    photos = photo_folder({"a": 12, "b": 12, "c": 12, "d": 12})
    build((32, 32, 3)).save(tmp_path / "odd.keras")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    given = ("--labels", "labels.txt", "--data", photos, "--int8-effort", "quick", "--min-agreement", "0.5")
    done = zoo("export", "odd.keras", *given, "--max-accuracy-drop", "0.5", "--precision", "int8", "--out", "out")
    assert done.code == 0, done.err
    for name in ("onnx", "tflite"):
        exporter = exporters().get(name)
        folder = tmp_path / "out" / f"odd-{name}-int8"
        quantization = json.loads((folder / "quantization.json").read_text())
        assert exporter.float_operators is not None
        assert quantization["float_operators"] == exporter.float_operators(folder / f"odd{exporter.suffix}")
        text = float_operators_text(quantization)
        assert f"Note: {name} int8: {text}" in " ".join(done.err.split())
        assert text in (folder / "README.md").read_text().replace("\\", "")
        assert text in (folder / "verify.html").read_text()


def test_the_sentence_has_the_most_frequent_operator_first_and_old_files_have_none() -> None:
    found = {"in_float": [], "float_operators": {"Add": 1, "Mul": 2, "Elu": 2}}
    assert float_operators_text(found) == (
        "5 operators run in float32, because the runtime or the quantisation does not support them in 8 bits:"
        " Elu (2), Mul (2), Add (1)."
    )
    spared = {"in_float": [{"name": "stem"}], "float_operators": {"Conv": 1}}
    assert float_operators_text(spared) == (
        "1 operator runs in float32, because the runtime or the quantisation does not support it in 8 bits,"
        " or because 8 bits would change too many predictions: Conv (1)."
    )
    for silent in (None, {"in_float": []}, {"in_float": [], "float_operators": {}}):
        assert float_operators_text(silent) == ""
