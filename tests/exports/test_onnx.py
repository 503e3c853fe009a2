"""ONNX files: their content, agreement with Keras, and that ONNX Runtime and OpenCV read them unchanged."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
import zoo_mobilenetv2.model
import zoo_onnx
from keras import layers
from onnx import numpy_helper
from zoo_onnx import runtime

from tests.exporting.models import answers, pixels, randomise
from zoo import ExportError, ImageSpec, Metadata
from zoo.exporting.fold import fold
from zoo.exporting.quantize import quantize

(ONNX,) = zoo_onnx.zoo_exporters()
LABELS = ("Füße", "rugby", "サッカー", "a, b", "🏉")
SHAPE = (32, 32, 3)


def build(odd=None):
    """A small classifier of raw pixels with 5 classes, and with all kinds of layers that affect the graph."""
    image = layers.Input(SHAPE, name="image")
    x = layers.Rescaling([1 / 58, 1 / 57, 1 / 57.5], [-2.1, -2.0, -1.8])(image)
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = shortcut = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.MaxPooling2D()(layers.ReLU()(x))
    x = layers.Conv2D(32, 1, name="project")(x)
    x = layers.Add()([layers.AveragePooling2D(2)(shortcut), x])
    if odd is not None:
        x = layers.Lambda(odd, name="odd_one")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="top")(x)
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    x = layers.Dense(48, activation="relu", name="hidden")(x)
    return randomise(keras.Model(image, layers.Dense(5, activation="softmax", name="probabilities")(x), name="tiny"))


def metadata(precision, **changes):
    made = Metadata(
        labels=LABELS,
        image=ImageSpec(height_px=32, width_px=32, resize="crop"),
        precision=precision,
        architecture="tiny",
        source="tiny-20260101-000000",
        model_digest="ab" * 32,
        versions={"tensorflow": tf.__version__},
        verification={"status": "verified", "largest_difference": 1e-7},
    )
    return replace(made, **changes)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def prepared(model):
    """The model as zoo prepares it for the exporter, for int8 and for the other precisions."""
    return {True: quantize(fold(model), pixels(32, SHAPE)).model, False: fold(model)}


@pytest.fixture(scope="module")
def files(prepared, tmp_path_factory):
    """A file of every precision, as written by ``convert``. Tests must not change them."""
    folder = tmp_path_factory.mktemp("onnx")
    made = {precision: folder / f"{precision}.onnx" for precision in ONNX.precisions}
    for precision, path in made.items():
        ONNX.convert(prepared[precision == "int8"], path, precision)
    assert sorted(folder.iterdir()) == sorted(made.values())
    return made


@pytest.fixture(scope="module")
def mobilenetv2():
    """A small MobileNetV2 with a third of the width and 10 classes."""
    return randomise(zoo_mobilenetv2.model.build((64, 64, 3), 10, width=0.35))


#: Fixtures of files. The files of a deep network take long.
WHICH = ["files", pytest.param("mobilenetv2_files", marks=pytest.mark.long)]


@pytest.fixture(scope="module")
def mobilenetv2_files(mobilenetv2, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mobilenetv2")
    made = {precision: folder / f"{precision}.onnx" for precision in ("float32", "int8")}
    ONNX.convert(fold(mobilenetv2), made["float32"], "float32")
    ONNX.convert(quantize(fold(mobilenetv2), pixels(16, (64, 64, 3))).model, made["int8"], "int8")
    return made


@pytest.fixture
def copy(files, tmp_path):
    """``copy("int8")`` copies a file for a test."""
    return lambda precision="float32": Path(shutil.copy(files[precision], tmp_path / f"{precision}.onnx"))


def steps(path):
    return Counter(node.op_type for node in onnx.load(path).graph.node)


# The file


def test_the_graph_is_optimised_without_copies_unless_an_optimisation_fails(tmp_path, monkeypatch):
    import tf2onnx.optimizer

    model, copies = fold(build()), []

    def counted(value):
        if isinstance(value, tf2onnx.graph.Graph):
            copies.append(value)
        return deepcopy(value)

    def fails(self, graph, iteration):
        raise ValueError

    monkeypatch.setattr(tf2onnx.optimizer, "copy", SimpleNamespace(deepcopy=counted))
    ONNX.convert(model, tmp_path / "model.onnx", "float32")
    assert copies == []
    assert "TF2ONNX_CATCH_ERRORS" not in os.environ
    monkeypatch.setattr(tf2onnx.optimizer.MergeDuplicatedNodesOptimizer, "optimize", fails)
    ONNX.convert(model, tmp_path / "other.onnx", "float32")
    assert len(copies) > 12
    image = np.zeros((1, *model.input_shape[1:]), np.float32)
    found, other = (
        onnxruntime.InferenceSession(tmp_path / name).run(None, {"image": image})[0]
        for name in ("model.onnx", "other.onnx")
    )
    np.testing.assert_allclose(found, other, atol=1e-6)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", "float32"), ("float16", "float32"), ("int8", "uint8")], ids=ONNX.precisions
)
def test_says_names_shapes_and_types_with_a_free_batch(files, precision, dtype):
    runtime = ONNX.load(files[precision], 1)
    assert runtime.inputs == (("image", (None, 32, 32, 3), dtype, 1.0, 0),)
    assert runtime.outputs == (("probabilities", (None, 5), "float32", 1.0, 0),)


@pytest.mark.parametrize("precision", ONNX.precisions)
def test_is_of_a_version_and_of_operators_that_older_runtimes_know(files, precision):
    model = onnx.load(files[precision])
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    assert {node.domain for node in model.graph.node} == {""}
    assert not model.functions
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("which", WHICH)
def test_every_shape_can_be_told_from_the_file_alone(which, precision, request):
    model = onnx.load(request.getfixturevalue(which)[precision])
    assert b"unk__" not in model.SerializeToString()
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    values = [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]
    assert len(values) > 10
    for value in values:
        first, *others = value.type.tensor_type.shape.dim
        assert all(side.dim_value for side in others), value
        assert first.dim_param == "batch" or first.dim_value, value


@pytest.mark.long
def test_float32_holds_nothing_but_what_computes(mobilenetv2_files):
    found = steps(mobilenetv2_files["float32"])
    assert found.keys() <= {
        "Add",
        "Clip",
        "Conv",
        "Gemm",
        "GlobalAveragePool",
        "Pad",
        "Reshape",
        "Softmax",
        "Squeeze",
        "Transpose",
    }
    assert found["Conv"] == 52
    assert found["Add"] == 10  # the residuals: no bias and no offset is added separately
    assert found["Transpose"] == 1
    assert found["Pad"] == 1  # the channel with the offset of the pixels
    # No scale and no mean of pixels remain as constants.
    constants = {constant.name for constant in onnx.load(mobilenetv2_files["float32"]).graph.initializer}
    sums = [node for node in onnx.load(mobilenetv2_files["float32"]).graph.node if node.op_type == "Add"]
    assert not [name for node in sums for name in node.input if name in constants]


@pytest.mark.long
def test_int8_adds_only_the_steps_in_and_out_of_8_bits(mobilenetv2_files):
    found = steps(mobilenetv2_files["int8"])
    assert {"QuantizeLinear", "DequantizeLinear"} < found.keys()
    assert not {"Clip", "Relu", "Mul", "Sub", "Div", "BatchNormalization", "Cast"} & found.keys()
    assert found["Conv"] == 52
    assert found["Transpose"] == 1


@pytest.mark.parametrize("precision", ONNX.precisions)
def test_moves_the_colours_once(files, precision):
    found = steps(files[precision])
    assert found["Transpose"] == 1
    # No shape is computed when the file runs.
    assert not {"Shape", "Gather", "Concat", "Slice"} & found.keys()


# int8


def makers_of(graph):
    return {name: node for node in graph.node for name in node.output}


@pytest.mark.parametrize("which", WHICH)
def test_int8_computes_with_bytes(which, request):
    graph = onnx.load(request.getfixturevalue(which)["int8"]).graph
    makers = makers_of(graph)
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    readers = {name: [node for node in graph.node if name in node.input] for name in makers}
    computing = [node for node in graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]
    assert computing
    for node in computing:
        image, weights, bias = (makers[name] for name in node.input)
        assert [image.op_type, weights.op_type, bias.op_type] == ["DequantizeLinear"] * 3
        stored, scale, zero = (constants[name] for name in weights.input)
        assert stored.dtype == np.int8
        assert not zero.any()
        assert np.abs(stored.astype(int)).max() == 127
        channels = stored.shape[0] if node.op_type == "Conv" else stored.shape[1]
        assert scale.shape == (channels,)
        assert constants[bias.input[0]].dtype == np.int32
        np.testing.assert_allclose(constants[bias.input[1]], scale * constants[image.input[1]], rtol=1e-6)
        assert {reader.op_type for reader in readers[node.output[0]]} == {"QuantizeLinear"}


def test_our_runtime_sets_the_option_against_overflow_that_its_note_names(files, monkeypatch):
    monkeypatch.setattr(runtime, "products_overflow", lambda: True)
    options = ONNX.load(files["int8"], 1)._session.get_session_options()
    assert options.get_session_config_entry("session.x64quantprecision") == "1"
    assert "session.x64quantprecision to 1" in ONNX.notes["int8"]


def test_our_runtime_does_not_slow_processors_that_do_not_overflow(files, monkeypatch):
    monkeypatch.setattr(runtime, "products_overflow", lambda: False)
    options = ONNX.load(files["int8"], 1)._session.get_session_options()
    with pytest.raises(RuntimeError, match="does not have configuration"):
        options.get_session_config_entry("session.x64quantprecision")


@pytest.mark.skipif(platform.machine() != "x86_64" or sys.platform != "linux", reason="reads the flags of x86 in Linux")
def test_overflow_is_found_on_processors_without_instructions_for_8_bits():
    flags = re.search("^flags.*", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    assert flags
    assert runtime.products_overflow() == ("avx2" in flags[0] and "vnni" not in flags[0])


def test_a_product_that_overflows_is_noticed(monkeypatch):
    # The session of a processor with AVX2 and without VNNI, which this machine may not have.
    overflowed = SimpleNamespace(run=lambda names, feeds: [np.array([[65534]], np.int32)])
    monkeypatch.setattr(runtime.onnxruntime, "InferenceSession", lambda *arguments, **options: overflowed)
    assert runtime.products_overflow.__wrapped__()


def test_int8_probabilities_are_computed_in_float(files):
    graph = onnx.load(files["int8"]).graph
    last = makers_of(graph)["probabilities"]
    assert last.op_type == "Softmax"
    assert makers_of(graph)[last.input[0]].op_type == "DequantizeLinear"
    steps = ONNX.load(files["int8"], 1).predict(pixels(8, SHAPE)) * 256
    assert np.abs(steps - steps.round()).max() > 0.01


@pytest.mark.parametrize("which", WHICH)
def test_onnx_runtime_leaves_no_convolution_in_float(which, request, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    path = str(request.getfixturevalue(which)["int8"])
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found = steps(tmp_path / "optimized.onnx")
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul"} & found.keys()
    assert found["QLinearConv"] == steps(path)["Conv"]


@pytest.mark.parametrize("which", WHICH)
def test_onnx_runtime_computes_nothing_but_the_softmax_in_float(which, request):
    assert ONNX.float_operators(request.getfixturevalue(which)["int8"]) == {}


@pytest.mark.parametrize("smallness", [0, 1e-6])
def test_int8_keeps_the_bias_of_a_channel_without_weights(model, smallness, tmp_path):
    """Weight decay creates such channels. Their bias was lost because it shared the step of the weights."""
    pruned = keras.models.clone_model(model)
    pruned.set_weights(model.get_weights())
    for name in ("depthwise", "project", "top", "hidden"):
        kernel, bias = pruned.get_layer(name).get_weights()
        channels = kernel.reshape(*kernel.shape[:2], -1) if name == "depthwise" else kernel
        channels[..., :6] *= smallness
        bias[:6] = 3
        pruned.get_layer(name).set_weights([kernel, bias])
    images = pixels(16, SHAPE)
    quantized = quantize(fold(pruned), images).model
    ONNX.convert(quantized, tmp_path / "pruned.onnx", "int8")
    found = ONNX.load(tmp_path / "pruned.onnx", 1).predict(images)
    np.testing.assert_allclose(found, answers(quantized, images), rtol=0, atol=0.02)


# Its predictions


def test_mobilenetv2_agrees_with_keras(mobilenetv2_files, mobilenetv2):
    images = pixels(6, (64, 64, 3))
    found = ONNX.load(mobilenetv2_files["float32"], 1).predict(images)
    np.testing.assert_allclose(found, answers(mobilenetv2, images), rtol=0, atol=1e-5)


# OpenCV, an independent implementation


@pytest.mark.parametrize("engine", [cv2.dnn.ENGINE_CLASSIC, cv2.dnn.ENGINE_NEW], ids=["as in OpenCV 4", "of OpenCV 5"])
@pytest.mark.parametrize("which", WHICH)
def test_opencv_reads_the_file_and_agrees_with_keras(which, engine, request):
    path = request.getfixturevalue(which)["float32"]
    model = request.getfixturevalue("model" if which == "files" else "mobilenetv2")
    images = pixels(5, model.input_shape[1:])
    net = cv2.dnn.readNetFromONNX(str(path), engine)
    for count in (1, 5):
        net.setInput(images[:count].astype("float32"), "image")
        np.testing.assert_allclose(net.forward(), answers(model, images[:count]), rtol=0, atol=1e-5)


# Conversion


def converted(model, path):
    """Converts a model to float32, checks its predictions, and returns the nodes of the file."""
    ONNX.convert(fold(model), path, "float32")
    images = pixels(4, SHAPE)
    np.testing.assert_allclose(
        onnxruntime.InferenceSession(path).run(None, {"image": images.astype("float32")})[0],
        answers(model, images),
        rtol=0,
        atol=1e-5,
    )
    return list(onnx.load(path).graph.node)


def test_a_grouped_convolution_is_one_with_groups(tmp_path):
    image = layers.Input(SHAPE)
    x = layers.Conv2D(8, 3, strides=2, padding="same")(layers.Rescaling(1 / 255)(image))
    x = layers.Conv2D(12, 3, groups=4, dilation_rate=2, activation="relu", name="grouped")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = randomise(keras.Model(image, layers.Dense(5, activation="softmax")(x)))
    nodes = converted(model, tmp_path / "model.onnx")
    groups = [part.i for node in nodes if node.op_type == "Conv" for part in node.attribute if part.name == "group"]
    assert groups == [1, 4]
    grouped = model.get_layer("grouped")
    assert "convolution_op" not in vars(grouped)


def test_tensors_that_a_layer_holds_are_constants(tmp_path):
    image = layers.Input(SHAPE)
    norm = layers.Normalization(axis=(1, 2, 3))
    norm.adapt(np.random.default_rng(0).uniform(0, 255, (8, *SHAPE)))
    x = layers.Flatten()(layers.MaxPooling2D(8)(norm(image)))
    converted(keras.Model(image, layers.Dense(5, activation="softmax")(x)), tmp_path / "model.onnx")


def test_a_loop_is_named(tmp_path):
    def loop(x):
        return tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v * 0.5), [tf.constant(0), x])[1]

    with pytest.raises(ExportError, match=r"computes in a loop or a branch, which becomes Loop \(layer 'odd_one'\)"):
        ONNX.convert(build(odd=loop), tmp_path / "model.onnx", "float32")


def test_a_layer_without_operator_is_named(tmp_path, capfd):
    model = build(odd=lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64))))
    with pytest.raises(ExportError, match=r"ONNX has no operator for FFT2D") as told:
        ONNX.convert(model, tmp_path / "model.onnx", "float32")
    assert told.value.message == "ONNX has no operator for FFT2D (layer 'odd_one'), Real (layer 'odd_one')."
    assert told.value.exit_code == 5
    assert "FFT2D" not in capfd.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("activation", ["gelu", "celu"])
def test_activations_that_tf2onnx_does_not_know_have_operators(activation, tmp_path):
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3)(keras.layers.Rescaling(1 / 30, -4)(image))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Activation(activation)(x))
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="probabilities")(x))
    ONNX.convert(model, tmp_path / "model.onnx", "float32")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.uint8)
    answers = ONNX.load(tmp_path / "model.onnx", 1).predict(pixels)
    np.testing.assert_allclose(answers, model.predict(pixels, verbose=0), atol=1e-6)


def test_a_layer_that_cannot_be_traced_is_told_in_one_line(tmp_path):
    calls = []

    def only_once(x):
        calls.append(x)
        if len(calls) > 1:
            raise TypeError("this layer wants numbers\nand says so at length")
        return x

    with pytest.raises(ExportError, match=r"cannot translate 'tiny': .{1,300}\n  Use another layer"):
        ONNX.convert(build(odd=only_once), tmp_path / "model.onnx", "float32")
    assert not list(tmp_path.iterdir())


# Metadata


def test_onnx_runtime_returns_the_metadata(copy):
    path = copy()
    ONNX.write_metadata(path, metadata("float32"))
    said = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_modelmeta()
    assert Metadata.from_json(said.custom_metadata_map["zoo"]) == metadata("float32")
    assert said.description == "tiny, float32, verified"


def test_what_others_wrote_into_the_file_stays(copy):
    path = copy()
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"author": "somebody"})
    onnx.save(model, path)
    ONNX.write_metadata(path, metadata("float32"))
    assert {entry.key: entry.value for entry in onnx.load(path).metadata_props}["author"] == "somebody"


# Invalid files


def test_metadata_that_was_changed_is_not_taken_for_none(copy):
    path = copy()
    ONNX.write_metadata(path, metadata("float32"))
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"zoo": metadata("float32").to_json()[:-30]})
    onnx.save(model, path)
    with pytest.raises(ExportError, match="metadata cannot be read"):
        ONNX.read_metadata(path)


def test_a_name_that_is_not_utf_8_is_no_obstacle(files, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.onnx")
    shutil.copy(files["float32"], path)
    ONNX.write_metadata(path, metadata("float32"))
    assert ONNX.read_metadata(path) == metadata("float32")
    assert ONNX.load(path, 1).predict(pixels(1, SHAPE)).shape == (1, 5)


# Imports


def test_reading_metadata_needs_no_framework(copy):
    path = copy()
    ONNX.write_metadata(path, metadata("float32"))
    loaded = _loaded_by(
        f"import pathlib, zoo_onnx; path = pathlib.Path({str(path)!r}); (one,) = zoo_onnx.zoo_exporters()\n"
        "one.write_metadata(path, one.read_metadata(path))"
    )
    assert loaded == {"numpy", "onnx"}


def _loaded_by(script):
    names = {"keras", "tensorflow", "cv2", "numpy", "onnx", "onnxruntime", "tf2onnx"}
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys; print(*{names!r} & set(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())
