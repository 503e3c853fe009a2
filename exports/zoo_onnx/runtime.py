"""Predicts with an ONNX file. This module needs only NumPy and ONNX Runtime, and is copied to devices unchanged."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# From version 1.29 on, ONNX Runtime sends usage data to Microsoft and writes a device number into the home folder. This
# variable turns both off, if it is set before the import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime

#: A matrix product of uint8 (1, 4) and int8 (4, 1), as an ONNX file (MatMulInteger, opset 10).
_PRODUCT = (
    b'\x08\x06:\\\n\x18\n\x01a\n\x01b\x12\x01c"\rMatMulInteger\x12\x01g'
    b"Z\x13\n\x01a\x12\x0e\n\x0c\x08\x02\x12\x08\n\x02\x08\x01\n\x02\x08\x04"
    b"Z\x13\n\x01b\x12\x0e\n\x0c\x08\x03\x12\x08\n\x02\x08\x04\n\x02\x08\x01"
    b"b\x13\n\x01c\x12\x0e\n\x0c\x08\x06\x12\x08\n\x02\x08\x01\n\x02\x08\x01"
    b"B\x04\n\x00\x10\n"
)

_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8", "tensor(int8)": "int8"}


class Tensor(NamedTuple):
    """One input or output. ``None`` in the shape is a free dimension. Real values are scale x (stored - zero_point)."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


class OnnxRuntime:
    """An ONNX file, loaded for prediction.

    Args:
        path: The file.
        threads: Threads within an operator.

    Raises:
        ValueError: The file does not exist, or ONNX Runtime cannot load it.
    """

    def __init__(self, path: str, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only; warnings about the graph concern its author
        if products_overflow():
            options.add_session_config_entry("session.x64quantprecision", "1")  # products of uint8 and uint8 instead
        try:
            source = _source(path)
        except OSError as error:
            raise ValueError(f"Could not read {path}: {error.strerror or error}.") from error
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has many exception classes
            raise ValueError(f"ONNX Runtime cannot load {path}: {_first_line(error)}") from error
        self.inputs = tuple(_tensor(value) for value in self._session.get_inputs())
        self.outputs = tuple(_tensor(value) for value in self._session.get_outputs())

    def predict(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Predicts the class probabilities, float32 ``(n, classes)``, of RGB images, uint8 ``(n, height, width, 3)``.

        Raises:
            ValueError: The images have another shape or dtype.
        """
        (first,) = self.inputs
        if images.dtype != np.uint8 or images.shape[1:] != first.shape[1:]:
            expected = ", ".join(map(str, first.shape[1:]))
            raise ValueError(f"Expected: uint8 (n, {expected}). Received: {images.dtype} {images.shape}.")
        names = [self.outputs[0].name]
        (probabilities,) = self._session.run(names, {first.name: images.astype(first.dtype, copy=False)})
        return np.asarray(probabilities, np.float32)

    def explain(self, images: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Predicts the class probabilities, and what each position of the map contributes to the logit of each class.

        The map is the second output, float32 ``(n, height, width, classes)``. Only files that were exported with a map
        have it.
        """
        (first,) = self.inputs
        probabilities, maps = self._session.run(None, {first.name: images.astype(first.dtype, copy=False)})
        return np.asarray(probabilities, np.float32), np.asarray(maps, np.float32)


def load(path: str | os.PathLike[str], threads: int = 1) -> OnnxRuntime:
    """Loads a file for prediction. See ``OnnxRuntime``."""
    return OnnxRuntime(os.fspath(path), threads)


@cache
def products_overflow() -> bool:
    """Whether ONNX Runtime's sums of products of uint8 and int8 overflow 16 bits here, as on x86 with AVX2 but without
    VNNI. This is computed, because the option against it makes int8 files slower on processors that do not need it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(_PRODUCT, options, providers=["CPUExecutionProvider"])
    (product,) = session.run(None, {"a": np.full((1, 4), 255, np.uint8), "b": np.full((4, 1), 127, np.int8)})
    return bool(product != 4 * 255 * 127)


def _source(path: str) -> str | bytes:
    """The path, so that the file is not in memory twice, or the content if ONNX Runtime cannot open the path."""
    with Path(path).open("rb") as file:
        return path if path.isascii() and os.name == "posix" else file.read()


def _tensor(value: Any) -> Tensor:
    shape = tuple(side if isinstance(side, int) else None for side in value.shape)
    return Tensor(value.name, shape, _DTYPES.get(value.type, value.type))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
