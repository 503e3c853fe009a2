"""TFLite files: their content, agreement with Keras, and that LiteRT and MediaPipe read them unchanged."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo_tflite
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from zoo_tflite import model_file

from tests.conftest import draw_photo
from tests.exporting.models import flattening
from tests.tflite_files import fully_delegated, operators_of_file
from zoo import ExportError, ImageSpec, Metadata

TFLITE = zoo_tflite.EXPORTER
LABELS = ("Füße", "rugby", "サッカー", "a, b", "🏉")


class FakeQuant(layers.Layer):
    def __init__(self, low, high):
        super().__init__()
        self.low, self.high = low, high

    def call(self, x):
        return tf.quantization.fake_quant_with_min_max_args(x, self.low, self.high)


def build(quantised=False, odd=None, seed=0, padded=False):
    """A small classifier of raw pixels: 32 px, 5 classes."""
    keras.utils.set_random_seed(seed)

    def stored(x, low, high):
        return FakeQuant(low, high)(x) if quantised else x

    image = layers.Input((32, 32, 3), name="image")
    x = stored(image, 0, 255)
    if padded:
        x = stored(keras.ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1)), constant_values=255.0), 0, 255)
    small = keras.initializers.RandomNormal(stddev=0.004)
    x = layers.Conv2D(64, 3, strides=2, padding="same", kernel_initializer=small, name="stem")(x)
    x = shortcut = stored(layers.ReLU(6.0, name="stem_relu")(x), 0, 6)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = stored(layers.ReLU(6.0, name="depthwise_relu")(x), 0, 4)
    x = stored(layers.Conv2D(64, 1, name="project")(x), -4, 4)
    x = stored(layers.Add(name="add")([shortcut, x]), -4, 8)
    if odd is not None:
        x = layers.Lambda(odd, name="odd_one")(x)
    x = stored(layers.GlobalAveragePooling2D(name="features")(x), -2, 4)
    x = stored(layers.Dense(5, name="logits")(x), -8, 8)
    return keras.Model(image, layers.Softmax(name="probabilities")(x), name="tiny")


def pixels(count, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), np.uint8)


def keras_predictions(model, images):
    return np.asarray(model(images.astype("float32"), training=False))


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
def plain():
    return build()


@pytest.fixture(scope="module")
def prepared():
    """The same network as zoo prepares it for the exporter, for int8."""
    return build(quantised=True)


@pytest.fixture(scope="module")
def files(plain, prepared, tmp_path_factory):
    """A file of every precision, as written by ``convert``. Tests must not change them."""
    folder = tmp_path_factory.mktemp("tflite")
    made = {precision: folder / f"{precision}.tflite" for precision in TFLITE.precisions}
    for precision, path in made.items():
        TFLITE.convert(prepared if precision == "int8" else plain, path, precision)
    assert sorted(folder.iterdir()) == sorted(made.values())
    return made


@pytest.fixture
def copy(files, tmp_path):
    """``copy("int8")`` copies a file for a test."""
    return lambda precision="float32": Path(shutil.copy(files[precision], tmp_path / f"{precision}.tflite"))


# The file


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", "float32"), ("float16", "float32"), ("int8", "uint8")], ids=TFLITE.precisions
)
def test_says_names_shapes_and_types_with_a_batch_of_one(files, precision, dtype):
    runtime = TFLITE.load(files[precision], 1)
    assert runtime.inputs == (("image", (1, 32, 32, 3), dtype, 1.0, 0),)
    assert runtime.outputs == (("probabilities", (1, 5), "float32", 1.0, 0),)
    signatures = Interpreter(model_path=str(files[precision])).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["image"], "outputs": ["probabilities"]}}


def test_a_file_that_flattens_can_still_be_resized_to_a_batch(tmp_path):
    model = flattening()
    TFLITE.convert(model, tmp_path / "model.tflite", "float32")
    interpreter = Interpreter(model_path=str(tmp_path / "model.tflite"))
    images = pixels(4).astype("float32")
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], images.shape)
    serve = interpreter.get_signature_runner("serving_default")
    np.testing.assert_allclose(serve(image=images)["probabilities"], keras_predictions(model, images), atol=1e-5)
    assert fully_delegated(tmp_path / "model.tflite")


def test_a_file_of_an_older_zoo_with_a_free_batch_is_still_read(files, plain, tmp_path):
    path = tmp_path / "older.tflite"
    older = model_file.parse(files["float32"].read_bytes())
    graph = older.subgraphs[0]
    for tensor in (graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]):
        tensor.shapeSignature = [-1, *tensor.shape[1:]]
    path.write_bytes(model_file.pack(older))
    TFLITE.write_metadata(path, metadata("float32"))
    assert TFLITE.read_metadata(path) == metadata("float32")
    runtime = TFLITE.load(path, 1)
    assert runtime.inputs[0].shape == (None, 32, 32, 3)
    np.testing.assert_allclose(runtime.predict(pixels(3)), keras_predictions(plain, pixels(3)), atol=1e-5)


@pytest.mark.parametrize("precision", TFLITE.precisions)
def test_needs_built_in_operators_only(files, precision):
    steps = operators_of_file(files[precision])
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "SOFTMAX"} <= {step.name for step in steps}
    assert {step.kind for step in steps} == {"builtin"}


def test_float32_is_run_by_xnnpack_from_end_to_end(files):
    assert fully_delegated(files["float32"])
    # XNNPACK does not convert the uint8 input to int8, so this file shows that the result can also be False.
    assert not fully_delegated(files["int8"])


@pytest.mark.parametrize("precision", TFLITE.precisions)
def test_the_constant_channel_is_filled_exactly(precision, tmp_path, monkeypatch):
    """A convolution, which XNNPACK runs, gives bit for bit the same outputs as the padding of the converter."""
    model = build(precision == "int8", padded=True)
    TFLITE.convert(model, tmp_path / "ours.tflite", precision)
    assert "PADV2" not in {step.name for step in operators_of_file(tmp_path / "ours.tflite")}
    monkeypatch.setattr("zoo_tflite.channel.fill_by_convolution", lambda inside: None)
    TFLITE.convert(model, tmp_path / "padded.tflite", precision)
    assert "PADV2" in {step.name for step in operators_of_file(tmp_path / "padded.tflite")}
    ours, padded = (TFLITE.load(tmp_path / f"{name}.tflite", 1).predict(pixels(4)) for name in ("ours", "padded"))
    np.testing.assert_array_equal(ours, padded)


@pytest.mark.parametrize("precision", TFLITE.precisions)
def test_weights_lie_where_the_schema_wants_them(files, precision):
    model = model_file.schema.Model.GetRootAs(files[precision].read_bytes())
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in buffers if buffer.DataLength()]
    assert len(starts) > 5
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_float16_stores_large_tensors_in_half_and_small_ones_as_they_are(tmp_path):
    image = layers.Input((32, 32, 3), name="image")
    x = layers.Dense(300, name="wide")(layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, name="small")(image)))
    model = keras.Model(image, layers.Dense(200, activation="softmax", name="large")(x))
    for precision in ("float32", "float16"):
        TFLITE.convert(model, tmp_path / f"{precision}.tflite", precision)
    half = tmp_path / "float16.tflite"
    assert half.stat().st_size < 0.6 * (tmp_path / "float32.tflite").stat().st_size
    graph = model_file.parse(half.read_bytes()).subgraphs[0]
    in_half = [tensor for tensor in graph.tensors if tensor.type == model_file.schema.TensorType.FLOAT16]
    assert [sorted(tensor.shape) for tensor in in_half] == [[200, 300]]
    answers = TFLITE.load(half, 1).predict(pixels(4))
    np.testing.assert_allclose(answers, keras_predictions(model, pixels(4)), atol=2e-3)
    assert fully_delegated(half)


def test_int8_computes_in_8_bits_with_weights_quantised_by_channel(files):
    graph = model_file.parse(files["int8"].read_bytes()).subgraphs[0]
    assert [step.name for step in operators_of_file(files["int8"])] == [
        "QUANTIZE",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "ADD",
        "MEAN",
        "FULLY_CONNECTED",
        "DEQUANTIZE",
        "SOFTMAX",
    ]
    stem = graph.tensors[graph.operators[1].inputs[1]]
    assert stem.type == model_file.schema.TensorType.INT8
    assert len(stem.quantization.scale) == 64


def test_conversion_says_nothing(plain, tmp_path, capfd):
    TFLITE.convert(plain, tmp_path / "model.tflite", "float32")
    assert capfd.readouterr() == ("", "")


# Its predictions


# Models that cannot be converted


def test_a_layer_without_operator_is_named(tmp_path, capfd):
    model = build(odd=lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64))))
    with pytest.raises(ExportError) as told:
        TFLITE.convert(model, tmp_path / "model.tflite", "float32")
    assert told.value.message == "TFLite has no operator for tf.FFT2D (layer 'odd_one')."
    assert told.value.exit_code == 5
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_a_layer_that_cannot_be_traced_is_told_in_one_line(tmp_path):
    calls = []

    def only_once(x):
        calls.append(x)
        if len(calls) > 1:
            raise TypeError("this layer wants numbers\nand says so at length")
        return x

    with pytest.raises(ExportError, match=r"cannot trace model 'tiny': .{1,200}\n  A layer"):
        TFLITE.convert(build(odd=only_once), tmp_path / "model.tflite", "float32")
    assert not list(tmp_path.iterdir())


# Metadata


def test_labels_and_our_json_can_be_unzipped(copy):
    path = copy()
    TFLITE.write_metadata(path, metadata("float32"))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode() == "".join(f"{label}\n" for label in LABELS)
        assert archive.read("zoo.json").decode() == metadata("float32").to_json()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_label_that_is_no_line_moves_no_other(copy):
    path = copy()
    labels = ("two\nlines", " ", "\udce9t\udce9", "d", "e")
    TFLITE.write_metadata(path, metadata("float32", labels=labels))
    assert TFLITE.read_metadata(path).labels == labels
    assert zipfile.ZipFile(path).read("labels.txt").decode().split("\n") == ["two lines", "?", "?t?", "d", "e", ""]


# Invalid files


def test_metadata_that_was_cut_off_or_changed_is_not_taken_for_none(copy):
    path = copy()
    TFLITE.write_metadata(path, metadata("float32"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(ExportError, match=r"damaged: its zoo\.json is missing"):
        TFLITE.read_metadata(path)
    path.write_bytes(whole.replace(b'"architecture":"tiny"', b'"architecture":"tidy"'))
    with pytest.raises(ExportError, match=r"damaged: Bad CRC-32 for file 'zoo\.json'"):
        TFLITE.read_metadata(path)


def test_a_name_that_is_not_utf_8_is_no_obstacle(files, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.tflite")
    shutil.copy(files["float32"], path)
    TFLITE.write_metadata(path, metadata("float32"))
    assert TFLITE.read_metadata(path) == metadata("float32")
    assert TFLITE.load(path, 1).predict(pixels(1)).shape == (1, 5)


# Imports


def test_reading_metadata_needs_no_tensorflow(copy):
    path = copy()
    TFLITE.write_metadata(path, metadata("float32"))
    loaded = _loaded_by(
        f"import pathlib, zoo_tflite; path = pathlib.Path({str(path)!r})\n"
        "zoo_tflite.EXPORTER.write_metadata(path, zoo_tflite.EXPORTER.read_metadata(path))"
    )
    assert loaded == {"ai_edge_litert", "flatbuffers", "numpy"}


def _loaded_by(script):
    names = {"keras", "tensorflow", "cv2", "numpy", "ai_edge_litert", "flatbuffers"}
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys; print(*{names!r} & set(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split())


# MediaPipe Tasks


@pytest.fixture(scope="session")
def mediapipe_path(tmp_path_factory):
    """PYTHONPATH for MediaPipe: empty, the folder of ``ZOO_TEST_MEDIAPIPE``, or one to which pip installs it.

    MediaPipe is not a dependency of the tests, because its OpenCV would overwrite the installed one.
    """
    if importlib.util.find_spec("mediapipe"):
        return ""
    if folder := os.environ.get("ZOO_TEST_MEDIAPIPE"):
        return folder
    folder = str(tmp_path_factory.mktemp("mediapipe"))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--retries", "0", "--target", folder]
    done = subprocess.run([*command, "mediapipe"], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.split())[-300:]
        pytest.skip(f"ZOO_TEST_MEDIAPIPE names no folder, and pip cannot install mediapipe: {reason}")
    return folder


CLASSIFY = """
import json, sys
# MediaPipe looks for them and works without.
for name in ("tensorflow", "jax", "torch"):
    sys.modules[name] = None
import mediapipe, numpy
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]), max_results=-1)
with vision.ImageClassifier.create_from_options(options) as classifier:
    for pixels in numpy.load(sys.argv[2]):
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.ascontiguousarray(pixels))
        head, = classifier.classify(image).classifications
        print("ANSWER", json.dumps({found.category_name: found.score for found in head.categories}))
"""


@pytest.mark.parametrize("precision", TFLITE.precisions)
def test_mediapipe_classifies_with_our_labels_and_keras_scores(
    copy, plain, prepared, precision, mediapipe_path, tmp_path
):
    path = copy(precision)
    TFLITE.write_metadata(path, metadata(precision))
    np.save(tmp_path / "pixels.npy", pixels(3))
    python_path = os.pathsep.join(filter(None, [mediapipe_path, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", CLASSIFY, str(path), str(tmp_path / "pixels.npy")],
        env={**os.environ, "PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers = [json.loads(line[len("ANSWER") :]) for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    assert [set(answer) for answer in answers] == [set(LABELS)] * 3
    scores = np.array([[answer[label] for label in LABELS] for answer in answers])
    np.testing.assert_allclose(scores, TFLITE.load(path, 1).predict(pixels(3)), atol=1e-6)
    expected = keras_predictions(prepared if precision == "int8" else plain, pixels(3))
    np.testing.assert_allclose(scores, expected, atol={"float32": 1e-5, "float16": 1e-3, "int8": 0.03}[precision])


def test_the_script_of_the_page_on_phones_runs(files, mediapipe_path, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "mobile.md").read_text()
    (script,) = re.findall(r"^```python\n# classify.py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    path = tmp_path / "mobilenetv2.tflite"
    shutil.copy(files["float32"], path)
    TFLITE.write_metadata(path, metadata("float32"))
    draw_photo(tmp_path / "photo.jpg", 20, 1)
    without = "import sys\nfor name in ('tensorflow', 'jax', 'torch'):\n    sys.modules[name] = None\n"
    python_path = os.pathsep.join(filter(None, [mediapipe_path, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-c", without + script.replace("score_threshold=0.5", "score_threshold=0"), path.name]
    environment = {**os.environ, "PYTHONPATH": python_path}
    done = subprocess.run(
        [*command, "photo.jpg"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    shown = done.stdout.splitlines()
    assert len(shown) == 3
    assert all(re.fullmatch(rf"photo\.jpg ({'|'.join(map(re.escape, LABELS))}) 0\.\d+", line) for line in shown)


def test_a_swapped_pair_of_labels_in_the_file_that_phones_read_is_found(files, tmp_path):
    path = tmp_path / "swapped.tflite"
    shutil.copy(files["float32"], path)
    TFLITE.write_metadata(path, metadata("float32"))
    content = path.read_bytes()
    lines = "".join(f"{label}\n" for label in LABELS).encode()
    swapped = "".join(f"{label}\n" for label in (LABELS[1], LABELS[0], *LABELS[2:])).encode()
    assert len(swapped) == len(lines)
    assert content.count(lines) == 1
    content = content.replace(lines, swapped)
    content = content.replace(struct.pack("<I", zlib.crc32(lines)), struct.pack("<I", zlib.crc32(swapped)))
    path.write_bytes(content)
    with pytest.raises(ExportError, match=r"the labels in its labels.txt and its zoo.json differ"):
        TFLITE.read_metadata(path)
