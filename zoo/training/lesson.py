"""The predictions of teachers for the views of the training images. They are a student's targets besides the labels."""

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
    """A teacher model.

    Args:
        load: Returns its Keras model, which maps raw pixels to probabilities.
        images: The student's training images, in the student's order, preprocessed with the teacher's own
            ``ImageSpec``. All have the split ``train``.
        outputs: The index of the teacher's output for each label of the student.
    """

    load: Callable[[], keras.Model]
    images: ImageData
    outputs: NDArray[np.int64]


@dataclass(frozen=True)
class Lesson:
    """The teachers' probabilities for every view of every training image.

    Args:
        predicted: Outputs on all images, for every teacher and view.
        outputs: For every teacher, the indices of its outputs in the order of the student's labels.
        row: Row in ``predicted`` of each image of the student's data. -1 for images that are not used for training.
        share: Weight of the teachers in the target of an image with a label: 1 uses only the teachers' probabilities,
            0 only the label. The target of an image without a label is the teachers' probabilities.
        damaged: Number of damaged predictions in the cache, which were computed again.
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
        """The mean prediction of the teachers, float32 ``(len(images), classes)``.

        Args:
            images: Positions in the student's data.
            views: The view of each image.
        """
        total = np.zeros((len(images), len(self.outputs[0])), np.float32)
        for predicted, outputs in zip(self.predicted, self.outputs, strict=True):
            total += read_views(predicted, self.row[images], views)[:, outputs]
        return total / np.float32(len(self.predicted))

    def targets(
        self, labels: NDArray[np.float32], images: NDArray[np.int64], views: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """The targets, which combine labels and the teachers' probabilities.

        Args:
            labels: One-hot, ``(len(images), classes)``. An image without a label has a row of zeros.
            images, views: As in ``probabilities``.
        """
        share = np.where(labels.any(1), self.share, 1.0).astype(np.float32)[:, None]
        return np.asarray((1 - share) * labels + share * self.probabilities(images, views), np.float32)


def compute_lesson(
    teachers: Iterable[Teacher], data: ImageData, recipe: Recipe, share: float, views: int, progress: Progress | None
) -> Lesson:
    """Predicts all views of the training images with every teacher, except those that are cached.

    Args:
        teachers: The teachers. One model is in memory at a time.
        data: The student's images.
        recipe: The student's recipe, with the augmentation of the views.
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
