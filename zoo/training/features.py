"""Features of a frozen backbone. They are computed once, cached like images, and used like any other data.

A frozen backbone has the same output for the same pixels in every epoch. Therefore it is run once for every image and
for a few augmented versions of every training image, and the head is trained on these outputs.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.augmentation import Augmentation
from zoo.data import ImageData
from zoo.data.arrays import CachedArrays, Row
from zoo.data.cache import ImageCache
from zoo.data.ingest import DECODER, Progress
from zoo.evaluation.predict import batch_size, predict_inputs
from zoo.recipe import Recipe
from zoo.training.augment import find_augmentation
from zoo.training.batches import TrainingBatches, made_ahead
from zoo.training.views import VERSION, read_views, show_views


@dataclass(frozen=True)
class Features:
    """Feature vectors of a dataset.

    Args:
        data: The dataset, with the features of the plain images instead of the pixels.
        views: The features of all images for every view, the plain view first. For an image that is not used for
            training, every view is the plain one.
        damaged: Number of damaged feature vectors in the cache, which were computed again.
    """

    data: ImageData
    views: tuple[CachedArrays, ...]
    damaged: int = 0


@dataclass(frozen=True)
class FeatureBatches(TrainingBatches):
    """Training batches of features. They always use fixed views."""

    features: tuple[CachedArrays, ...] = ()

    @property
    def views(self) -> int:
        return len(self.features)

    def inputs(
        self, epoch: int, step: int, chosen: NDArray[np.int64], views: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        assert views is not None
        return read_views(self.features, chosen, views)


def compute_features(
    backbone: keras.Model, data: ImageData, recipe: Recipe, views: int = 1, progress: Progress | None = None
) -> Features:
    """Computes the features of every image that is not cached.

    Args:
        backbone: Maps raw pixels to feature vectors ``(batch, features)``.
        data: The images.
        recipe: Recipe with the augmentation of the views.
        views: Number of views of every training image.
        progress: Called with images done and images to do.

    Raises:
        DataError: The cache cannot be written, or is too small.
    """
    digest = weights_digest(backbone)
    train = data.training.tolist()
    everything = np.arange(len(data.names)).tolist()
    with closing(ImageCache()) as cache:
        jobs: list[tuple[str, int, dict[str, int]]] = []
        for view in range(views):
            name = f"{augmentation_digest(recipe.ranges)}-{view}-v{VERSION}" if view else "plain"
            key = f"features-{digest}-{data.spec.digest}-{DECODER}-{name}"
            jobs.append((key, view, {data.contents[index]: index for index in (train if view else everything)}))
        found = _all_views(cache, backbone, data, recipe, jobs, progress)
    damaged = sum(cache.damaged.values())
    width = int(backbone.output_shape[-1])
    arrays = tuple(
        CachedArrays([view.get(sha256) or found[0][sha256] for sha256 in data.contents], (width,), "float32")
        for view in found
    )
    return Features(replace(data, pixels=arrays[0]), arrays, damaged)


def augmentation_digest(augmentation: Augmentation) -> str:
    """Digest of what determines augmented images:

    the ranges, and the source of the function's module, if there is one.
    """
    if not augmentation.function:
        return augmentation.digest
    module = inspect.getmodule(find_augmentation(augmentation.function))
    try:
        source = inspect.getsource(module) if module else ""
    except (OSError, TypeError):
        source = ""
    return hashlib.sha256(f"{augmentation.digest}\n{source}".encode()).hexdigest()[:8]


def weights_digest(model: keras.Model) -> str:
    """Digest of what determines the features of a backbone, its layers and weights. 16 hexadecimal digits."""
    digest = hashlib.sha256(f"{keras.__version__} {keras.backend.backend()}".encode())
    digest.update(model.to_json().encode())  # the settings of every layer, including its precision
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        digest.update(f"{variable.path} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value, np.float32).data)
    return digest.hexdigest()[:16]


def _all_views(
    cache: ImageCache,
    backbone: keras.Model,
    data: ImageData,
    recipe: Recipe,
    jobs: Sequence[tuple[str, int, dict[str, int]]],
    progress: Progress | None,
) -> list[dict[str, Row]]:
    """For each job, the location of the features of each content in the cache.

    A job consists of a cache key, a view, and the index of one image for each content (SHA-256).
    """
    row_bytes = 4 * int(backbone.output_shape[-1])
    # These rows are kept in the cache until the end, so that a job does not evict the features of another job.
    cached = [cache.rows(key, list(index_of), row_bytes) for key, _, index_of in jobs]
    total = sum(len(index_of) - len(places) for (*_, index_of), places in zip(jobs, cached, strict=True))
    cache.make_room(total * row_bytes, keep=[place for places in cached for place in places.values()])
    done = 0

    def make(
        view: int, index_of: Mapping[str, int], contents: Sequence[str]
    ) -> Iterator[tuple[str, NDArray[np.float32]]]:
        nonlocal done
        chosen = [index_of[sha256] for sha256 in contents]
        for made in _features(backbone, data, chosen, view, recipe, total):
            yield from made
            done += len(made)
            if progress:
                progress(done, max(done, total))

    return [cache.filled(key, list(index_of), row_bytes, partial(make, view, index_of)) for key, view, index_of in jobs]


def _features(
    backbone: keras.Model, data: ImageData, chosen: Sequence[int], view: int, recipe: Recipe, total: int
) -> Iterator[list[tuple[str, NDArray[np.float32]]]]:
    """Yields the content (SHA-256) and the features of the images at ``chosen``, batch by batch."""
    step = batch_size(data.pixels.shape)
    parts = [chosen[start : start + step] for start in range(0, len(chosen), step)]
    shown = made_ahead(lambda part: show_views(data, part, [view] * len(part), recipe), parts)
    for part, images in zip(parts, shown, strict=True):
        contents = [data.contents[index] for index in part]
        yield list(zip(contents, predict_inputs(backbone, images, total), strict=True))
