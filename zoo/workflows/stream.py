"""Answers about pictures, however many there are, in their order and in flat memory."""

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

#: Threads that decode for a model that is asked in batches.
_MOST_DECODERS = 4


def one_by_one(classifiers: Sequence[Classifier], pictures: Iterable[Named], top: int) -> Iterator[Answered]:
    """Name and answer of each picture, or why there is none.

    A thread for every classifier takes a picture from its file to its answer: nothing waits for anything, and an answer
    does not depend on the pictures beside it.

    Args:
        classifiers: Of one model, each for one thread.
        pictures: Taken one after the other, as they are needed.
        top: Classes wanted.

    Raises:
        VerificationError: The model answers with something that is no number.
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
    """The same, of a model that is fastest when it is asked about many at once, and takes all cores by itself.

    Args:
        classifier: Makes pixels of pictures, and answers of probabilities.
        predict: Probabilities, float32 ``(n, classes)``, of pixels, uint8 ``(n, height, width, 3)``.
        batch_size: Pictures that are asked about at once.
        pictures, top: As above.
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

    # Of each picture a remark, or the reason why it is unusable: answers come in the order of the pictures.
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
