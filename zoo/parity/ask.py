"""Predictions of an exported file on image files, and the comparison of the pixels with those of Keras."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.data import ImageData
from zoo.errors import ExportError
from zoo.image_spec import ImageSpec
from zoo.images import load_image
from zoo.images.ahead import ahead
from zoo.machine import core_count
from zoo.parity.device import Device


@dataclass(frozen=True, kw_only=True)
class TensorError:
    """The difference between the input pixels of the file and of Keras.

    Args:
        images: Number of images with a difference.
        max_difference: Maximum difference of a value, 0 to 255. ``None`` if the sizes differ.
        worst: File with the maximum difference. Empty if there is none.
    """

    images: int
    max_difference: int | None
    worst: str


class Predicts(Protocol):
    """The interface for predictions: a runtime, or a wrapper of a runtime."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]: ...


def ask(
    runtime: Predicts,
    spec: ImageSpec,
    data: ImageData,
    indices: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
    device: Device | None = None,
) -> tuple[NDArray[np.float32], TensorError]:
    """Reads and preprocesses every image file, and predicts the images one by one, as on a device.

    Only a few images are in memory at a time.

    Args:
        runtime: The exported file.
        spec: Its preprocessing.
        data: Names of the files, and the input pixels of Keras.
        indices: Indices of the images.
        progress: Called with images done and images to do.
        device: Another processor, which reads the image files instead of this one.

    Returns:
        Probabilities, float32 ``(len(indices), classes)``, and the difference of the pixels.

    Raises:
        ImageError: A file can no longer be read.
        ExportError: The runtime fails, or returns another shape.
    """
    classes = len(data.labels)
    outputs = np.empty((len(indices), classes), np.float32)
    same_size = spec.input_shape == data.spec.input_shape
    differing, largest, worst = 0, 0, ""
    paths = [os.path.join(data.root, data.names[index]) for index in indices]  # noqa: PTH118
    look = device.look if device else partial(load_image, spec=spec)
    for row, pixels in enumerate(ahead(look, paths, min(4, core_count()))):
        if same_size:
            given = data.pixels.read(indices[row : row + 1])[0]
            difference = int(cv2.absdiff(pixels, given).max())
            differing += difference > 0
            if difference > largest:
                largest, worst = difference, data.names[indices[row]]
        output = np.asarray(runtime.predict(pixels[None]))
        if output.shape != (1, classes):
            raise ExportError(f"The file returns the shape {output.shape} for one image; expected (1, {classes}).")
        outputs[row] = output[0]
        if progress:
            progress(row + 1, len(indices))
    if not same_size:
        return outputs, TensorError(images=len(indices), max_difference=None, worst=data.names[indices[0]])
    return outputs, TensorError(images=differing, max_difference=largest, worst=worst)
