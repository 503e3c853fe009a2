"""Runs an OpenVINO file. It imports only NumPy and OpenVINO, because it is copied to the device unchanged."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import openvino


class Tensor(NamedTuple):
    name: str
    shape: tuple
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


class OpenVinoRuntime:
    def __init__(self, path, threads):
        try:
            graph, weights = Path(path).read_bytes(), Path(path).with_suffix(".bin").read_bytes()
            model = openvino.Core().read_model(graph, weights)
            options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
            self._model = openvino.Core().compile_model(model, "CPU", options)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"OpenVINO cannot load {path}: {' '.join(str(error).split())}") from error
        self.inputs, self.outputs = (_tensor(self._model.input(0)),), (_tensor(self._model.output(0)),)

    def predict(self, images):
        (first,), (last,) = self.inputs, self.outputs
        if images.dtype != np.uint8 or images.shape[1:] != first.shape[1:]:
            raise ValueError(f"Expected: uint8 (n, {first.shape[1:]}). Received: {images.dtype} {images.shape}.")
        rows = [self._model(image[None].astype(first.dtype))[0] for image in images]
        return np.concatenate([np.empty((0, last.shape[1]), np.float32), *rows])


def _tensor(port):
    shape = tuple(None if side.is_dynamic else side.get_length() for side in port.partial_shape)
    return Tensor(port.any_name, shape, np.dtype(port.element_type.to_dtype()).name)


def load(path, threads=1):
    return OpenVinoRuntime(path, threads)
