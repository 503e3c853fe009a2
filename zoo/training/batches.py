"""Training batches: shuffled, augmented, weighted, made ahead of the step that needs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.data import ImageData
from zoo.recipe import Recipe
from zoo.runs.machine import core_count
from zoo.training.augment import augment, mixup, random_generator

#: ``(images uint8, targets float32, weights float32)``.
Batch = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]

#: Streams of random numbers that belong to no image.
_SHUFFLE, _MIXUP = 2**40, 2**41


@dataclass(frozen=True)
class TrainingBatches:
    """The batches of every epoch, each a function of the seed, the epoch and its number alone.

    Args:
        data: Where the pixels are.
        indices: The images to train on.
        recipe: Batch size, augmentation, mixup, class weights.
        seed: Of shuffling and augmentation.
    """

    data: ImageData
    indices: NDArray[np.int64]
    recipe: Recipe
    seed: int

    @property
    def steps(self) -> int:
        """Batches an epoch; the last may be smaller, so that every image is seen once."""
        return -(-len(self.indices) // self.recipe.batch_size)

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of a step: images uint8 ``(n, height, width, 3)``, one-hot targets, weight of each image."""
        order = random_generator(self.seed, epoch, _SHUFFLE).permutation(self.indices)
        chosen = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
        images = self.data.pixels.read(chosen)
        if self.recipe.augmentation != "none":
            for row, index in enumerate(chosen.tolist()):
                images[row] = augment(images[row], self.recipe.augmentation, random_generator(self.seed, epoch, index))
        classes = self.data.classes[chosen]
        targets = np.eye(len(self.data.labels), dtype=np.float32)[classes]
        weights = self.class_weights[classes]
        if self.recipe.mixup_alpha:
            mixup(images, targets, self.recipe.mixup_alpha, random_generator(self.seed, epoch, _MIXUP + step))
        return images, targets, weights

    @property
    def class_weights(self) -> NDArray[np.float32]:
        """Weight of each class, 1 on average over the images."""
        classes = len(self.data.labels)
        if self.recipe.class_weights == "none":
            return np.ones(classes, np.float32)
        counts = np.bincount(self.data.classes[self.indices], minlength=classes)
        return (len(self.indices) / (classes * np.maximum(counts, 1))).astype(np.float32)

    def stream(self, first_epoch: int) -> Generator[Batch, None, None]:
        """Batches without end from the beginning of ``first_epoch`` on, a few of them made ahead in threads."""
        workers = min(2, core_count())
        with ThreadPoolExecutor(workers, thread_name_prefix="zoo-batches", initializer=_one_thread) as pool:
            ahead: deque[Future[Batch]] = deque()
            epoch, step = first_epoch, 0
            try:
                while True:
                    while len(ahead) < 2 * workers:
                        ahead.append(pool.submit(self.batch, epoch, step))
                        epoch, step = (epoch, step + 1) if step + 1 < self.steps else (epoch + 1, 0)
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()


def _one_thread() -> None:
    # The batch threads already use the cores; OpenCV's own threads would fight them.
    cv2.setNumThreads(1)
