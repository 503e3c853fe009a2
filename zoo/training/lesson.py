"""What teachers predict for the views of the images that train: the targets of a student, beside the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.data import ImageData
from zoo.data.arrays import CachedArrays
from zoo.data.ingest import Progress
from zoo.recipe import Recipe
from zoo.training.features import compute_features
from zoo.training.views import read_views


@dataclass(frozen=True)
class Teacher:
    """A model that teaches.

    Args:
        load: Returns its Keras model, from raw pixels to probabilities.
        images: The images that train the student, in the student's order, as the teacher's own ``ImageSpec`` makes
            their pixels; all of the split ``train``.
        outputs: For each label of the student, the teacher's output that stands for it.
    """

    load: Callable[[], keras.Model]
    images: ImageData
    outputs: NDArray[np.int64]


@dataclass(frozen=True)
class Lesson:
    """The teachers' probabilities for every view of every image that trains.

    Args:
        predicted: For every teacher and view, its outputs on all images.
        outputs: For every teacher, the order of its outputs that is the order of the student's labels.
        row: Where in ``predicted`` each image of the student's data is; -1 for those that do not train.
        share: Of the target of an image with a label: 1 is the teachers' probabilities alone, 0 the label alone. The
            target of an image without a label is the teachers' probabilities.
        damaged: How many cached predictions had bytes that had changed; they were computed again.
    """

    predicted: tuple[tuple[CachedArrays, ...], ...]
    outputs: tuple[NDArray[np.int64], ...]
    row: NDArray[np.int64]
    share: float
    damaged: int = 0

    @property
    def views(self) -> int:
        return len(self.predicted[0])

    def probabilities(self, images: NDArray[np.int64], views: NDArray[np.int64]) -> NDArray[np.float32]:
        """The mean of what the teachers predict, float32 ``(len(images), classes)``.

        Args:
            images: Positions in the student's data.
            views: The view of each that they look at.
        """
        total = np.zeros((len(images), len(self.outputs[0])), np.float32)
        for predicted, outputs in zip(self.predicted, self.outputs, strict=True):
            total += read_views(predicted, self.row[images], views)[:, outputs]
        return total / np.float32(len(self.predicted))

    def targets(
        self, labels: NDArray[np.float32], images: NDArray[np.int64], views: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Labels and the teachers' probabilities together.

        Args:
            labels: One-hot, ``(len(images), classes)``; a row of zeros where an image has none.
            images, views: As for ``probabilities``.
        """
        share = np.where(labels.any(1), self.share, 1.0).astype(np.float32)[:, None]
        return np.asarray((1 - share) * labels + share * self.probabilities(images, views), np.float32)


def compute_lesson(
    teachers: Iterable[Teacher], data: ImageData, recipe: Recipe, share: float, views: int, progress: Progress | None
) -> Lesson:
    """Asks every teacher about all views of the images that train, as far as the cache does not know.

    Args:
        teachers: One model is held at a time.
        data: The student's images.
        recipe: The student's: its augmentation makes the views.
        share, views: As in ``Lesson``.
        progress: Called with images done and images to do.

    Raises:
        DataError: The cache cannot be written, or is too small.
    """
    predicted, outputs, damaged = [], [], 0
    for teacher in teachers:
        found = compute_features(teacher.load(), teacher.images, recipe, views, progress)
        predicted.append(found.views)
        outputs.append(teacher.outputs)
        damaged += found.damaged
    row = np.full(len(data.names), -1, np.int64)
    row[data.training] = np.arange(len(data.training))
    return Lesson(tuple(predicted), tuple(outputs), row, share, damaged)
