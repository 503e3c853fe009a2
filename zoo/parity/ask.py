"""An exported file's answers to image files, and whether both sides saw the same pixels."""

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


@dataclass(frozen=True, kw_only=True)
class TensorError:
    """How the pixels made for the file differ from those Keras was given.

    Args:
        images: On how many images.
        max_difference: Largest difference of a value, 0 to 255; ``None`` where their sizes already differ.
        worst: File with the largest, empty where all are the same.
    """

    images: int
    max_difference: int | None
    worst: str


class Predicts(Protocol):
    """What is asked: a runtime, or what stands before one."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]: ...


def ask(
    runtime: Predicts,
    spec: ImageSpec,
    data: ImageData,
    indices: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.float32], TensorError]:
    """Reads every image from its file anew, as ``spec`` says, and asks for one after the other, as a device does.

    Memory holds a few images, whatever their number, and the answers.

    Args:
        runtime: The file.
        spec: Its image rule.
        data: Names of the files, and the pixels Keras was given.
        indices: Which images.
        progress: Called with images done and images to do.

    Returns:
        Answers, float32 ``(len(indices), classes)``, and the error of the pixels.

    Raises:
        ImageError: A file cannot be read any more.
        ExportError: The runtime fails, or answers in another shape.
    """
    classes = len(data.labels)
    answers = np.empty((len(indices), classes), np.float32)
    same_size = spec.input_shape == data.spec.input_shape
    differing, largest, worst = 0, 0, ""
    paths = [os.path.join(data.root, data.names[index]) for index in indices]  # noqa: PTH118
    for row, pixels in enumerate(ahead(partial(load_image, spec=spec), paths, min(4, core_count()))):
        if same_size:
            given = data.pixels.read(indices[row : row + 1])[0]
            difference = int(cv2.absdiff(pixels, given).max())
            differing += difference > 0
            if difference > largest:
                largest, worst = difference, data.names[indices[row]]
        answer = np.asarray(runtime.predict(pixels[None]))
        if answer.shape != (1, classes):
            raise ExportError(f"The file answers one image with the shape {answer.shape}; expected (1, {classes}).")
        answers[row] = answer[0]
        if progress:
            progress(row + 1, len(indices))
    if not same_size:
        return answers, TensorError(images=len(indices), max_difference=None, worst=data.names[indices[0]])
    return answers, TensorError(images=differing, max_difference=largest, worst=worst)
