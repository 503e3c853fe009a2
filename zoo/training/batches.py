"""Training batches: shuffled, augmented, weighted, and prepared ahead of the training step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from zoo.data import ImageData
from zoo.images.ahead import ahead
from zoo.machine import core_count
from zoo.recipe import Recipe
from zoo.training.augment import augment, call_function, draw_changes, mixup, random_generator
from zoo.training.devices import augments_on_device, put_on_devices
from zoo.training.hosts import Share
from zoo.training.views import show_views, turns

if TYPE_CHECKING:
    from zoo.training.lesson import Lesson

#: ``(images uint8 or features float32, targets float32, weights float32)``.
Batch = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32]]

Item = TypeVar("Item")
Made = TypeVar("Made")

#: Random streams that do not belong to an image.
_SHUFFLE, _MIXUP, _FUNCTION = 2**40, 2**41, 2**42

#: Maximum number of threads. Each thread holds a batch in memory, and more threads wait longer for the interpreter
#: lock.
_MOST_WORKERS = 8


@dataclass(frozen=True)
class TrainingBatches:
    """The batches of every epoch. Each batch depends only on the seed, the epoch and its number in the epoch.

    Args:
        data: The dataset.
        indices: The images to train on.
        recipe: Batch size, augmentation, mixup, class weights.
        seed: Seed of shuffling and augmentation.
        lesson: Predictions of teachers for the images. With it, the epochs cycle through the fixed views of an image
            for which the teachers made predictions, instead of using a new augmentation in every epoch.
        share: The rows of each batch that this host prepares, if there are several hosts.
    """

    data: ImageData
    indices: NDArray[np.int64]
    recipe: Recipe
    seed: int
    lesson: Lesson | None = None
    share: Share | None = None

    @property
    def steps(self) -> int:
        """Number of batches per epoch. The last may be smaller, so that every image is used once."""
        return -(-len(self.indices) // self.recipe.batch_size)

    @property
    def views(self) -> int:
        """Number of fixed views of each image. 0 if every epoch uses a new augmentation."""
        return self.lesson.views if self.lesson else 0

    def batch(self, epoch: int, step: int) -> Batch:
        """The batch of a step: images uint8 ``(n, height, width, 3)``, targets, and weight of each image.

        With several hosts, these are the rows of this host. The images are not augmented if the devices do that.
        """
        whole = self._whole(epoch, step)
        rows = self._own_rows(len(whole))
        chosen = whole if self._depends_on_whole else whole[rows]
        views = turns(epoch, chosen, self.views) if self.views else None
        images = self.inputs(epoch, step, chosen, views)
        labels = self.labels(chosen)
        targets = labels
        if self.lesson:
            assert views is not None
            targets = self.lesson.targets(labels, chosen, views)
        # For an image without a label, the weight is the mean of the class weights, weighted by its target.
        weights = np.where(labels.any(1), labels @ self.class_weights, targets @ self.class_weights)
        if self.recipe.mixup_alpha:
            mixup(images, targets, self.recipe.mixup_alpha, random_generator(self.seed, epoch, _MIXUP + step))
        if self._depends_on_whole:
            return images[rows], targets[rows], weights[rows]
        return images, targets, weights

    def _whole(self, epoch: int, step: int) -> NDArray[np.int64]:
        """The images of a batch, of all hosts together."""
        return self._order(epoch)[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]

    def _own_rows(self, size: int) -> slice:
        """The rows of a batch of ``size`` images that this host prepares."""
        return self.share.rows(size) if self.share else slice(0, size)

    @cached_property
    def on_device(self) -> bool:
        """Whether the devices augment the images, which is faster if they are accelerators.

        Functions of the augmentation and mixup need the images on the host, and fixed views are the same everywhere.
        """
        changes = not self.recipe.ranges.changes_nothing
        return changes and not self._depends_on_whole and not self.views and augments_on_device()

    @property
    def _depends_on_whole(self) -> bool:
        """Whether the images of a batch depend on each other. Every host then prepares the whole batch."""
        return bool(self.recipe.mixup_alpha or self.recipe.ranges.function)

    def labels(self, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """One-hot labels. An image without a label has a row of zeros."""
        classes = self.data.classes[chosen]
        known = classes >= 0
        labels = np.zeros((len(chosen), len(self.data.labels)), np.float32)
        labels[np.flatnonzero(known), classes[known]] = 1
        return labels

    def inputs(self, epoch: int, step: int, chosen: NDArray[np.int64], views: NDArray[np.int64] | None) -> NDArray[Any]:
        """The model's inputs for the images at ``chosen`` in a step of an epoch, or the given view of each image."""
        if views is not None:
            return show_views(self.data, chosen, views, self.recipe)
        images = self.data.pixels.read(chosen)
        if self.on_device:
            return images
        augment(images, self.recipe.ranges, self._randoms(epoch, chosen))
        call_function(images, self.recipe.ranges, random_generator(self.seed, epoch, _FUNCTION + step))
        return images

    def _randoms(self, epoch: int, chosen: NDArray[np.int64]) -> Iterator[np.random.Generator]:
        """The random generator of each image for its augmentation."""
        return (random_generator(self.seed, epoch, index) for index in chosen.tolist())

    @cached_property
    def _order(self) -> Callable[[int], NDArray[np.int64]]:
        """The images in the order of an epoch.

        Two orders are cached, because batches of the next epoch are prepared before an epoch ends.
        """
        return lru_cache(2)(lambda epoch: random_generator(self.seed, epoch, _SHUFFLE).permutation(self.indices))

    @cached_property
    def class_weights(self) -> NDArray[np.float32]:
        """Weight of each class, with mean 1 over the images with a label."""
        classes = len(self.data.labels)
        if self.recipe.class_weights == "none":
            return np.ones(classes, np.float32)
        known = self.data.classes[self.indices]
        counts = np.bincount(known[known >= 0], minlength=classes)
        return np.asarray(counts.sum() / (classes * np.maximum(counts, 1)), np.float32)

    def stream(self, first_epoch: int) -> Generator[tuple[Any, ...], None, None]:
        """An infinite stream of batches from the beginning of ``first_epoch``, prepared ahead."""
        places = ((epoch, step) for epoch in count(first_epoch) for step in range(self.steps))
        made = made_ahead(lambda place: (self._prepared(*place), len(self._whole(*place))), places)
        put = self.share.placed if self.share else put_on_devices
        if self.on_device:
            from zoo.training.augment_on_device import augment_on_device
        with contextlib.closing(made) as prepared:
            # Devices are used here and not in the threads, so that all hosts use them in the same order.
            for arrays, size in prepared:
                if self.on_device:
                    images, targets, weights, *changes = put(arrays, size)
                    yield augment_on_device(images, *changes), targets, weights
                else:
                    yield put(arrays, size) if self.share else arrays

    def _prepared(self, epoch: int, step: int) -> tuple[NDArray[Any], ...]:
        """The batch of a step, followed by the changes of its images if the devices augment them."""
        batch = self.batch(epoch, step)
        if not self.on_device:
            return batch
        whole = self._whole(epoch, step)
        randoms = self._randoms(epoch, whole[self._own_rows(len(whole))])
        changes = draw_changes(self.recipe.ranges, randoms, batch[0].shape[1:3])
        return (*batch, changes.warps, changes.colours)


def made_ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Generator[Made, None, None]:
    """Yields the result of ``make`` for each item, in order, with a few results prepared ahead of training."""
    workers = min(_MOST_WORKERS, core_count())
    return ahead(make, items, workers, most=workers + 2)
