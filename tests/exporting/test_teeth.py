"""Verification detects faults: real exported files with one fault each, and the sentence that names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator, TensorType
from numpy.typing import NDArray
from onnx import numpy_helper
from zoo_tflite import model_file

from tests.conftest import RunZoo, draw_photo, run_command, zoo_environment
from tests.tflite_files import operators_of_file
from zoo.data import TEST
from zoo.evaluation.trained import TrainedModel, model_digest, of_run
from zoo.exported import Metadata
from zoo.parity import Verification, exporter_of, keras_predictions, verification_images, verify
from zoo.run_folder import open_run

LABELS = ("apple", "lime", "sky")
SUFFIXES = {"onnx": ".onnx", "tflite": ".tflite"}

Array = NDArray[np.generic]
#: A function that changes a kernel with input channels last.
Change = Callable[[Array], None]


class Subject:
    """A run on drawn photos, and its exported files."""

    def __init__(self, work: Path) -> None:
        self.work = work
        for split, count in (("train", 24), ("test", 10)):
            for index, label in enumerate(LABELS):
                for number in range(count):
                    seed = 1000 * index + 100 * (split == "test") + number
                    draw_photo(work / "photos" / split / label / f"{number:02d}.jpg", 10 + 50 * index, seed)
        train = ("train", "simple_cnn", "--data", "photos", "--size", "32", "--precision", "float32")
        self._zoo(*train, "--epochs", "8", "--min-steps", "0", "--augmentation", "none")
        (self.run,) = (work / "runs").iterdir()
        self._zoo("export", self.run, "--precision", "float32", "--precision", "int8")

    def _zoo(self, *arguments: str | Path) -> None:
        run_command(*arguments, cwd=self.work, environment=zoo_environment(self.work), check=True)

    @cached_property
    def trained(self) -> TrainedModel:
        return of_run(open_run(self.run))

    @cached_property
    def data(self):
        return verification_images(self.trained)[0]

    @cached_property
    def expected(self) -> NDArray[np.float32]:
        return keras_predictions(self.trained, self.data, TEST)

    def copy(self, folder: Path, name: str, precision: str = "float32") -> Path:
        """A copy of an exported file."""
        suffix = SUFFIXES[name]
        exported = self.run / "exports" / f"simple_cnn-{name}-{precision}" / f"simple_cnn{suffix}"
        return Path(shutil.copy(exported, folder / f"model{suffix}"))

    def verify(self, path: Path) -> Verification:
        return verify(exporter_of(path), path, self.trained, self.data, TEST, expected=self.expected)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    return Subject(tmp_path_factory.mktemp("teeth"))


def change_first_kernel(path: Path, change: Change) -> None:
    """Changes the stored kernel of the network's first convolution, and keeps the metadata of the file."""
    exporter = exporter_of(path)
    said = exporter.read_metadata(path)
    (_change_onnx if path.suffix == ".onnx" else _change_tflite)(path, change)
    assert said is not None
    exporter.write_metadata(path, said)


def _change_onnx(path: Path, change: Change) -> None:
    model = onnx.load(path)
    constants = {constant.name: constant for constant in model.graph.initializer}
    name = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    if name not in constants:  # int8: the kernel is the input of a DequantizeLinear
        name = next(node for node in model.graph.node if name in node.output).input[0]
    kernel = numpy_helper.to_array(constants[name]).copy()
    change(np.moveaxis(kernel, 1, -1))
    constants[name].CopyFrom(numpy_helper.from_array(kernel, name))
    onnx.save(model, path)


def _change_tflite(path: Path, change: Change) -> None:
    model, _ = model_file.read(path)
    graph = model.subgraphs[0]
    codes = [code.builtinCode for code in model.operatorCodes]
    convolutions = (step for step in graph.operators if codes[step.opcodeIndex] == BuiltinOperator.CONV_2D)
    kernels = (graph.tensors[step.inputs[1]] for step in convolutions)
    tensor = next(kernel for kernel in kernels if kernel.name != b"channel_kernel")  # the channel kernel copies pixels
    kernel = np.asarray(model.buffers[tensor.buffer].data, np.uint8).copy()
    change(kernel.view(np.int8 if tensor.type == TensorType.INT8 else np.float32).reshape(tensor.shape))
    model.buffers[tensor.buffer].data = kernel
    path.write_bytes(model_file.pack(model))
    assert operators_of_file(path)


def said_by(path: Path, **changes: object) -> None:
    """Changes only the metadata of a file."""
    said = exporter_of(path).read_metadata(path)
    assert isinstance(said, Metadata)
    exporter_of(path).write_metadata(path, replace(said, **changes))


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", SUFFIXES)
def test_the_file_as_it_was_exported_passes(subject: Subject, tmp_path: Path, name: str, precision: str) -> None:
    path = subject.copy(tmp_path, name, precision)
    found = subject.verify(path)
    assert found.failures == ()
    assert found.n == 30
    # Reading and writing a kernel without a change does not make the verification fail.
    change_first_kernel(path, lambda kernel: None)
    assert subject.verify(path).failures == ()


@pytest.mark.parametrize("name", SUFFIXES)
def test_one_nudged_weight(subject: Subject, tmp_path: Path, name: str) -> None:
    path = subject.copy(tmp_path, name)

    def nudge(kernel: Array) -> None:
        kernel[3, 1, 1, 0] *= 1.1

    change_first_kernel(path, nudge)
    found = subject.verify(path)
    assert len(found.failures) == 1
    assert found.failures[0].startswith("A probability of the float32 model differs from Keras by")
    assert found.failures[0].endswith("0.0001 is allowed.")


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", SUFFIXES)
def test_blue_for_red(subject: Subject, tmp_path: Path, name: str, precision: str) -> None:
    path = subject.copy(tmp_path, name, precision)

    def swap(kernel: Array) -> None:
        kernel[..., [0, 2]] = kernel[..., [2, 0]]

    change_first_kernel(path, swap)
    found = subject.verify(path)
    assert found.contract.problems == ()
    assert found.tensor is not None
    assert found.tensor.images == 0  # the pixels are right, but the predictions are wrong
    first = (
        "A probability of the float32 model differs from Keras by"
        if precision == "float32"
        else "The int8 model predicts"
    )
    assert found.failures[0].startswith(first)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", SUFFIXES)
def test_a_swapped_pair_of_labels(subject: Subject, tmp_path: Path, name: str, precision: str) -> None:
    path = subject.copy(tmp_path, name, precision)
    said_by(path, labels=("lime", "apple", "sky"))
    found = subject.verify(path)
    assert found.failures[0] == (
        "Output 0 has the label 'lime' in the file, but 'apple' in the model. Other labels that differ: 1."
    )
    assert any("predicts" in sentence or "differs" in sentence for sentence in found.failures[1:])


@pytest.mark.parametrize("rule", ["crop", "letterbox"])
@pytest.mark.parametrize("name", SUFFIXES)
def test_another_resize_rule(subject: Subject, tmp_path: Path, name: str, rule: str) -> None:
    path = subject.copy(tmp_path, name)
    said_by(path, image=replace(subject.trained.image, resize=rule))
    found = subject.verify(path)
    assert (
        found.failures[0]
        == f"The preprocessing of the file differs from that of the model: resize '{rule}' instead of 'squash'."
    )
    assert found.failures[1].startswith("The input pixels of the file and of Keras differ on 30 of 30")


@pytest.fixture(scope="module")
def other_run(subject: Subject) -> Path:
    """A run that looks like the first one, on the same photos, but has other weights."""
    folder = subject.work / "others" / "simple_cnn-20270101-000000"
    shutil.copytree(subject.run, folder, ignore=shutil.ignore_patterns("exports"))
    keras.utils.set_random_seed(7)
    keras.models.clone_model(subject.trained.load()).save(folder / "model.keras")
    return folder


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", SUFFIXES)
def test_weights_of_another_run(subject: Subject, other_run: Path, tmp_path: Path, name: str, precision: str) -> None:
    path = subject.copy(tmp_path, name, precision)
    other = of_run(open_run(other_run))
    found = verify(exporter_of(path), path, other, subject.data, TEST)
    assert found.failures[0].startswith("The file was made from other weights")
    # A false digest in the metadata does not help either.
    said_by(path, model_digest=model_digest(other.load()))
    found = verify(exporter_of(path), path, other, subject.data, TEST)
    assert found.contract.problems == ()
    first = (
        "A probability of the float32 model differs from Keras by"
        if precision == "float32"
        else "The int8 model predicts"
    )
    assert found.failures[0].startswith(first)


def test_the_command_bites_too(subject: Subject, tmp_path: Path, run_zoo: RunZoo) -> None:
    path = subject.copy(tmp_path, "tflite", "int8")
    said_by(path, labels=("lime", "apple", "sky"))
    done = run_zoo("verify", path, "--against", subject.run)
    assert done.code == 6
    assert f"{path} does not agree with {subject.run}." in done.err
    assert "Output 0 has the label 'lime' in the file, but 'apple' in the model." in done.err
