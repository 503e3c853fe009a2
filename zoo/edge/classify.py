"""From a picture to an answer."""

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

#: ``load(path, threads)`` makes a model file ready to answer. It raises ``ValueError`` where it cannot.
Load = Callable[[Path, int], "Runtime"]


@dataclass(frozen=True)
class Answer:
    """What a model says of a picture.

    Args:
        label: The likeliest class.
        probability: Its probability, 0 to 1.
        top: The likeliest classes with their probabilities, as many as were asked for.
        known: Whether the probability reaches the threshold; below it the model should be taken not to know.
        remark: What a user should know of the picture, such as damage that its decoder painted over; empty where there
            is nothing to say.
    """

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    known: bool = True
    remark: str = ""


class Classifier:
    """A model that is ready to answer about pictures. One thread may use it at a time.

    Args:
        runtime: The model.
        image: How pictures become its input.
        labels: Class names in the order of its outputs.
        min_confidence: Probability, 0 to 1, below which an answer is not ``known``.

    Raises:
        VerificationError: The model does not take such pictures, or has another number of outputs.
    """

    def __init__(
        self, runtime: Runtime, image: ImageSpec, labels: tuple[str, ...], min_confidence: float | None = None
    ) -> None:
        taken, given = runtime.inputs[0].shape[1:], runtime.outputs[0].shape[-1:]
        if taken != image.input_shape or given not in ((len(labels),), (None,)):  # a file of others may leave it free
            raise VerificationError(
                f"The model takes {taken} and returns {given}; expected {image.input_shape} and {(len(labels),)}.",
                "Model and spec.json are not of one bundle.",
            )
        self.runtime, self.image, self.labels = runtime, image, labels
        self._least = 0.0 if min_confidence is None else min_confidence

    def classify(self, picture: str | os.PathLike[str] | bytes | NDArray[np.uint8], top: int = 1) -> Answer:
        """What the picture shows.

        Args:
            picture: A path, the bytes of a file, or pixels: RGB, uint8 ``(height, width, 3)`` of any size.
            top: Classes wanted, 1 or more.

        Raises:
            ImageError: It is no usable picture.
            VerificationError: The model answers with something that is no number.
        """
        pixels, remark = self.look(picture)
        return self.answer(self.probabilities(pixels), top, remark)

    def look(self, picture: str | os.PathLike[str] | bytes | NDArray[np.uint8]) -> tuple[NDArray[np.uint8], str]:
        """What the model sees of it, RGB, uint8 of the size of the image rule; and a remark on it, mostly empty."""
        if isinstance(picture, np.ndarray):
            return resize(picture, self.image), ""
        if isinstance(picture, bytes):
            pixels, remark = look(picture)
            return resize(pixels, self.image), remark
        return load_with_remark(picture, self.image)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Of every class, float32 ``(classes,)``."""
        return np.asarray(self.runtime.predict(pixels[None])[0], np.float32)

    def answer(self, probabilities: NDArray[np.float32], top: int = 1, remark: str = "") -> Answer:
        """The likeliest classes; of two alike, the first in the order of the labels."""
        if not np.isfinite(probabilities).all():
            raise VerificationError("The model answers with values that are no numbers.", "Try run.py --selftest.")
        order = np.argsort(-probabilities, kind="stable")[: max(top, 1)].tolist()
        likeliest = tuple((self.labels[place], float(probabilities[place])) for place in order)
        return Answer(*likeliest[0], likeliest, known=likeliest[0][1] >= self._least, remark=remark)


def load_quietly(load: Load, path: Path, threads: int) -> Runtime:
    """``load(path, threads)`` without the lines in which LiteRT tells how it computes. Errors and warnings come out."""
    with stderr_aside(only=b"INFO: "):
        return load(path, threads)


def open_bundle(bundle: Bundle, load: Load, threads: int = 1, min_confidence: float | None = None) -> Classifier:
    """A bundle's model, ready to answer.

    Raises:
        VerificationError: The model is missing, damaged, or not the one that ``spec.json`` describes.
        UsageError: Its runtime is not installed.
    """
    try:
        runtime = load_quietly(load, bundle.model_path, threads)
    except ModuleNotFoundError as error:
        raise bundle.not_installed(error) from error
    except ValueError as error:
        raise VerificationError(str(error), "python run.py --selftest says which files are not as made.") from error
    return Classifier(runtime, bundle.image, bundle.labels, min_confidence)
