"""A format for the tests: a linear classifier on mean colours, in a file that NumPy reads and runs.

It shares only the weights with Keras, so agreement is not trivial.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.data import TEST, ImageData, load_for_evaluation
from zoo.errors import ExportError
from zoo.evaluation.trained import TrainedModel, model_digest
from zoo.exported import INPUT, OUTPUT, Metadata, TensorInfo
from zoo.image_spec import ImageSpec
from zoo.interfaces import Exporter
from zoo.parity import Gates, Verification, keras_predictions, verify

SPEC = ImageSpec(height_px=48, width_px=48)
CELL = 8


def features(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean colour of every 8 x 8 cell of images ``(n, height, width, 3)``, from 0 to 1, flattened."""
    n, height, width, _ = pixels.shape
    cells = pixels.reshape(n, height // CELL, CELL, width // CELL, CELL, 3).astype(np.float32)
    means: NDArray[np.float32] = cells.mean(axis=(2, 4)).reshape(n, -1) / 255
    return means


@dataclass(frozen=True)
class LinearRuntime:
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    answer: str

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        logits = features(images) @ self.kernel + self.bias
        if self.answer == "logits":
            return logits
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        found = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        if self.answer == "nan where dark":
            found[images.mean(axis=(1, 2, 3)) < 85, 0] = np.nan
        return found


def _load(path: Path, threads: int) -> LinearRuntime:
    with np.load(path) as found:
        told = json.loads(str(found["tensors"]))
        inputs, outputs = (tuple(_tensor(item) for item in told[kind]) for kind in ("inputs", "outputs"))
        return LinearRuntime(inputs, outputs, found["kernel"], found["bias"], told["answer"])


def _tensor(values: dict[str, Any]) -> TensorInfo:
    return TensorInfo(**values | {"shape": tuple(values["shape"])})


def _read_metadata(path: Path) -> Metadata | None:
    with np.load(path) as found:
        return Metadata.from_json(str(found["metadata"])) if "metadata" in found else None


def _unused(*arguments: object) -> None:
    raise ExportError("not in these tests")


LINEAR = Exporter(
    name="linear",
    summary="for tests",
    suffix=".npz",
    precisions=("float32", "float16", "int8"),
    convert=_unused,
    write_metadata=_unused,
    read_metadata=_read_metadata,
    load=_load,
    versions=("numpy", "no-such-package"),
    notes={"int8": "Round halves to even."},
)


@dataclass(frozen=True)
class LinearFile:
    """The content of a file. ``replace`` creates a wrong one."""

    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    metadata: Metadata | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    answer: str = "probabilities"

    def write(self, path: Path) -> Path:
        told = {
            "answer": self.answer,
            "inputs": [asdict(item) for item in self.inputs],
            "outputs": [asdict(item) for item in self.outputs],
        }
        arrays: dict[str, Any] = {"kernel": self.kernel, "bias": self.bias, "tensors": json.dumps(told)}
        if self.metadata:
            arrays["metadata"] = self.metadata.to_json()
        np.savez(path, **arrays)
        return path


@dataclass(frozen=True)
class Subject:
    """A Keras model, images, and the file that predicts like the model."""

    data: ImageData
    reference: TrainedModel
    file: LinearFile

    @cached_property
    def expected(self) -> NDArray[np.float32]:
        return keras_predictions(self.reference, self.data, TEST)

    def verify(self, path: Path, file: LinearFile, gates: Gates | None = None) -> Verification:
        exported = file.write(path / "model.npz")
        return verify(LINEAR, exported, self.reference, self.data, TEST, gates, expected=self.expected)

    def with_metadata(self, **values: Any) -> LinearFile:
        assert self.file.metadata
        return replace(self.file, metadata=replace(self.file.metadata, **values))


def make_subject(source: Path, labels: tuple[str, ...], spec: ImageSpec = SPEC) -> Subject:
    """Fits a classifier to the images of a folder by least squares, and returns it in Keras and as a file."""
    data = load_for_evaluation(str(source), spec, labels)
    seen = features(data.pixels.read(np.arange(len(data.names))))
    wanted = np.eye(len(labels), dtype=np.float32)[data.classes] * 6
    ridge = seen.T @ seen + 2 * np.eye(seen.shape[1], dtype=np.float32)
    kernel = np.linalg.solve(ridge, seen.T @ wanted).astype(np.float32)
    bias = np.linspace(0, 0.1, len(labels), dtype=np.float32)
    batch: tuple[int | None, ...] = (None,)
    reference = TrainedModel("linear (fitted)", "linear", labels, spec, keras_model(spec, kernel, bias))
    return Subject(
        data=data,
        reference=reference,
        file=LinearFile(
            kernel=kernel,
            bias=bias,
            metadata=Metadata(
                labels=labels,
                image=spec,
                precision="float32",
                architecture="linear",
                source="linear (fitted)",
                model_digest=model_digest(reference.load()),
                versions={"numpy": np.__version__},
            ),
            inputs=(TensorInfo(name=INPUT, shape=batch + spec.input_shape, dtype="float32"),),
            outputs=(TensorInfo(name=OUTPUT, shape=(*batch, len(labels)), dtype="float32"),),
        ),
    )


def keras_model(spec: ImageSpec, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> Callable[[], Any]:
    def load() -> Any:
        import keras

        image = keras.Input(spec.input_shape, name=INPUT)
        x = keras.layers.Rescaling(1 / 255)(image)
        x = keras.layers.AveragePooling2D(CELL)(x)
        head = keras.layers.Dense(len(bias), activation="softmax", name=OUTPUT)
        model = keras.Model(image, head(keras.layers.Flatten()(x)))
        head.set_weights([kernel, bias])
        return model

    return load
