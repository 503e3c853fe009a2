"""From an image to a prediction."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.edge.bundle import Bundle
from zoo.errors import VerificationError
from zoo.image_spec import ImageSpec
from zoo.images import load_with_remark, look, resize
from zoo.quiet import stderr_aside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.exported import Runtime

#: ``load(path, threads)`` loads a model file for prediction. It raises ``ValueError`` if it cannot.
Load = Callable[[Path, int], "Runtime"]


@dataclass(frozen=True)
class Answer:
    """The prediction for one image.

    Args:
        label: The predicted class.
        probability: Its probability, 0 to 1.
        top: The most probable classes with their probabilities, as many as requested.
        known: Whether the probability reaches the threshold. Below it, the class is considered unknown.
        remark: A problem of the image that the user should know, such as damage that the decoder filled in. Usually
            empty.
    """

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    known: bool = True
    remark: str = ""


class Classifier:
    """A model that is ready to predict images. It must not be used by several threads at the same time.

    Args:
        runtime: The model.
        image: The preprocessing of images.
        labels: Class names in the order of the model's outputs.
        min_confidence: Confidence threshold, 0 to 1. A prediction below it is not ``known``.

    Raises:
        VerificationError: The model takes images of another size, or has another number of outputs.
    """

    def __init__(
        self, runtime: Runtime, image: ImageSpec, labels: tuple[str, ...], min_confidence: float | None = None
    ) -> None:
        taken, given = runtime.inputs[0].shape[1:], runtime.outputs[0].shape[-1:]
        if taken != image.input_shape or given not in (
            (len(labels),),
            (None,),
        ):  # a file that was not exported by zoo may not declare it
            raise VerificationError(
                f"The model takes {taken} and returns {given}; expected {image.input_shape} and {(len(labels),)}.",
                "The model and spec.json are from different bundles.",
            )
        self.runtime, self.image, self.labels = runtime, image, labels
        self._least = 0.0 if min_confidence is None else min_confidence

    def classify(self, picture: str | os.PathLike[str] | bytes | NDArray[np.uint8], top: int = 1) -> Answer:
        """Predicts the class of an image.

        Args:
            picture: A path, the bytes of a file, or pixels: RGB, uint8 ``(height, width, 3)`` of any size.
            top: Number of likeliest classes to return, at least 1.

        Raises:
            ImageError: ``picture`` is not a usable image.
            VerificationError: The model returns values that are not numbers.
        """
        pixels, remark = self.look(picture)
        return self.answer(self.probabilities(pixels), top, remark)

    def look(self, picture: str | os.PathLike[str] | bytes | NDArray[np.uint8]) -> tuple[NDArray[np.uint8], str]:
        """The preprocessed image, RGB, uint8, and a remark on it, which is usually empty."""
        if isinstance(picture, np.ndarray):
            return resize(picture, self.image), ""
        if isinstance(picture, bytes):
            pixels, remark = look(picture)
            return resize(pixels, self.image), remark
        return load_with_remark(picture, self.image)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities of all classes, float32 ``(classes,)``."""
        return np.asarray(self.runtime.predict(pixels[None])[0], np.float32)

    def answer(self, probabilities: NDArray[np.float32], top: int = 1, remark: str = "") -> Answer:
        """The most probable classes. Classes with equal probabilities keep the order of the labels."""
        if not np.isfinite(probabilities).all():
            raise VerificationError(
                "The model returns values that are not numbers.", "Run the self-test: run.py --selftest"
            )
        order = np.argsort(-probabilities, kind="stable")[: max(top, 1)].tolist()
        likeliest = tuple((self.labels[place], float(probabilities[place])) for place in order)
        return Answer(*likeliest[0], likeliest, known=likeliest[0][1] >= self._least, remark=remark)


def load_quietly(load: Load, path: Path, threads: int) -> Runtime:
    """``load(path, threads)`` without LiteRT's informational messages. Errors and warnings are printed."""
    with stderr_aside(only=b"INFO: "):
        return load(path, threads)


def open_bundle(bundle: Bundle, load: Load, threads: int = 1, min_confidence: float | None = None) -> Classifier:
    """Loads the model of a bundle for prediction.

    Raises:
        VerificationError: The model is missing, damaged, or not the one that ``spec.json`` describes.
        UsageError: Its runtime is not installed.
    """
    try:
        runtime = load_quietly(load, bundle.model_path, threads)
    except ModuleNotFoundError as error:
        raise bundle.not_installed(error) from error
    except ValueError as error:
        raise VerificationError(str(error), "python run.py --selftest lists the files that have changed.") from error
    return Classifier(runtime, bundle.image, bundle.labels, min_confidence)
