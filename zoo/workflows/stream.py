"""Predictions for any number of images, in order and in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np

from zoo.images import ImageError
from zoo.images.ahead import ahead
from zoo.machine import core_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.edge.classify import Answer, Classifier
    from zoo.edge.sources import Picture

    Named = tuple[str, Picture]
    Answered = tuple[str, Answer | ImageError]

#: Number of threads that decode images for a model that predicts in batches.
_MOST_DECODERS = 4


def one_by_one(classifiers: Sequence[Classifier], pictures: Iterable[Named], top: int) -> Iterator[Answered]:
    """Yields the name and the prediction of each image, or the reason why there is none.

    Each classifier has its own thread, which decodes and predicts one image at a time. Threads do not wait for each
    other, and a prediction does not depend on the other images.

    Args:
        classifiers: Classifiers of the same model, one per thread.
        pictures: The images, which are read one by one as needed.
        top: Number of likeliest classes to return.

    Raises:
        VerificationError: The model returns values that are not numbers.
    """
    free: SimpleQueue[Classifier] = SimpleQueue()
    for classifier in classifiers:
        free.put(classifier)

    def answer(named: Named) -> Answered:
        name, picture = named
        if isinstance(picture, ImageError):
            return name, picture
        classifier = free.get()
        try:
            return name, classifier.classify(picture, top)
        except ImageError as error:
            return name, error
        finally:
            free.put(classifier)

    return ahead(answer, pictures, len(classifiers))


def in_batches(
    classifier: Classifier,
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    batch_size: int,
    pictures: Iterable[Named],
    top: int,
) -> Iterator[Answered]:
    """The same as ``one_by_one`` for a model that is fastest on batches and uses all cores itself.

    Args:
        classifier: Converts images to pixels, and probabilities to predictions.
        predict: Maps pixels, uint8 ``(n, height, width, 3)``, to probabilities, float32 ``(n, classes)``.
        batch_size: Number of images per batch.
        pictures, top: As in ``one_by_one``.
    """

    def decoded(named: Named) -> tuple[str, tuple[NDArray[np.uint8], str] | ImageError]:
        name, picture = named
        if isinstance(picture, ImageError):
            return name, picture
        try:
            return name, classifier.look(picture)
        except ImageError as error:
            return name, error

    def answers() -> Iterator[Answered]:
        rows = iter(predict(np.stack(batch)) if batch else ())
        for name, found in waiting:
            yield name, found if isinstance(found, ImageError) else classifier.answer(next(rows), top, found)
        waiting.clear()
        batch.clear()

    # For each picture, a remark or the reason why it is unusable. Predictions are in the order of the pictures.
    waiting: list[tuple[str, str | ImageError]] = []
    batch: list[NDArray[np.uint8]] = []
    for name, made in ahead(decoded, pictures, min(_MOST_DECODERS, core_count())):
        if isinstance(made, ImageError):
            waiting.append((name, made))
        else:
            pixels, remark = made
            waiting.append((name, remark))
            batch.append(pixels)
        if len(batch) == batch_size or len(waiting) >= 2 * batch_size:
            yield from answers()
    yield from answers()
