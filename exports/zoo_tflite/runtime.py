"""Predicts with a TFLite file. This module needs only NumPy and LiteRT, and is copied to devices unchanged."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray


class TensorInfo(NamedTuple):
    """One input or output of a file.

    Args:
        name: Name in the file.
        shape: Shape. ``None`` is a free dimension.
        dtype: NumPy name, such as ``float32``.
        scale, zero_point: Quantisation parameters: real value = scale x (stored - zero_point). 1 and 0 if not
            quantised.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


class TFLiteRuntime:
    """A TFLite image classifier, loaded for prediction. One thread may use it at a time.

    Args:
        path: The file. It is read once, and may be changed or removed afterwards.
        threads: CPU threads for one image, 1 or more.

    Raises:
        ValueError: The file does not exist, or LiteRT cannot run it.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        # Read here instead of by LiteRT, which cannot open every valid file name.
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ValueError(f"Could not read {path}: {error.strerror or error}.") from error
        try:
            # LiteRT treats empty content as missing.
            self._interpreter = Interpreter(model_content=content or b"empty", num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{path} is damaged or not a TFLite file that LiteRT can run: {reason}") from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        returned = [len(output["shape"]) for output in outputs]
        # The second output, called map, contains the evidence at each position.
        fits = returned == [2] or (returned == [2, 4] and outputs[1]["name"] == "map")
        if len(inputs) != 1 or len(inputs[0]["shape"]) != 4 or not fits:
            raise ValueError(f"{path} does not take one image and return one row of numbers: not an image classifier.")
        self._input, self._outputs = inputs[0], outputs

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        return (_info(self._input),)

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        return tuple(map(_info, self._outputs))

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predicts the class probabilities of images. Pixels are only converted to the dtype of the input.

        Args:
            images: RGB, uint8 ``(n, height, width, 3)``; ``n`` may be 0.

        Returns:
            float32 ``(n, classes)``.

        Raises:
            ValueError: The images have another shape or dtype.
        """
        return self._ask(images, 1)[0]

    def explain(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Predicts the class probabilities, and what each position of the map contributes to the logit of each class.

        The map is the second output, float32 ``(n, height, width, classes)``. Only files that were exported with a map
        have it.
        """
        probabilities, maps = self._ask(images, 2)
        return probabilities, maps

    def _ask(self, images: NDArray[np.uint8], wanted: int) -> list[NDArray[np.float32]]:
        """The values of the first ``wanted`` outputs."""
        size = tuple(int(side) for side in self._input["shape"][1:])
        if images.dtype != np.uint8 or images.shape[1:] != size:
            expected = ", ".join(map(str, size))
            raise ValueError(f"Expected: uint8 (n, {expected}). Received: {images.dtype} {images.shape}.")
        outputs = self._outputs[:wanted]
        found = [np.empty((len(images), *map(int, output["shape"][1:])), np.float32) for output in outputs]
        # Images are predicted one by one, because the file has a batch size of 1, batches of 4 to 32 images were not
        # faster on a CPU, each new batch size needs a new allocation, and a prediction would depend on the other images
        # of the batch.
        for place, image in enumerate(images):
            self._interpreter.set_tensor(self._input["index"], image[None].astype(self._input["dtype"]))
            self._interpreter.invoke()
            for output, values in zip(outputs, found, strict=True):
                values[place] = self._interpreter.get_tensor(output["index"])[0]
        return found


def load(path: str | os.PathLike[str], threads: int = 1) -> TFLiteRuntime:
    """Loads a file for prediction. See ``TFLiteRuntime``."""
    return TFLiteRuntime(path, threads)


def _info(details: dict[str, Any]) -> TensorInfo:
    scale, zero_point = details["quantization"]
    return TensorInfo(
        name=details["name"],
        shape=tuple(None if side == -1 else int(side) for side in details["shape_signature"]),
        dtype=np.dtype(details["dtype"]).name,
        # LiteRT returns (0.0, 0) for a tensor that is not quantised.
        scale=float(scale) or 1.0,
        zero_point=int(zero_point),
    )
