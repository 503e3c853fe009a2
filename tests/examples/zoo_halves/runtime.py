"""Runs a file in two halves with ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime

_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}


class Tensor(NamedTuple):
    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


class Halves:
    def __init__(self, path: Any, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        options.add_session_config_entry("session.x64quantprecision", "1")
        try:
            content = Path(path).read_bytes() + Path(path).with_suffix(".tail").read_bytes()
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has a separate class for every kind of error
            raise ValueError(f"{path} cannot be loaded: {' '.join(str(error).split())}") from error
        self.inputs = tuple(map(_tensor, self._session.get_inputs()))
        self.outputs = tuple(map(_tensor, self._session.get_outputs()))

    def predict(self, images: Any) -> Any:
        (first,) = self.inputs
        if images.dtype != np.uint8 or images.shape[1:] != first.shape[1:]:
            raise ValueError(f"Expected: uint8 (n, {first.shape[1:]}). Received: {images.dtype} {images.shape}.")
        return self._session.run(None, {first.name: images.astype(first.dtype)})[0]


def _tensor(value: Any) -> Tensor:
    return Tensor(
        value.name, tuple(side if isinstance(side, int) else None for side in value.shape), _DTYPES[value.type]
    )


def load(path: Any, threads: int = 1) -> Any:
    return Halves(path, threads)
