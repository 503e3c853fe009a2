"""Features of a frozen backbone: computed once, cached like images, and then data like any other.

A frozen backbone answers the same for the same pixels in every epoch. So it is asked once for every image, and for a
few augmented versions of every training image, and the head trains on what it said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.data import TRAIN, ImageData
from zoo.data.arrays import CachedArrays
from zoo.data.cache import ImageCache
from zoo.data.ingest import DECODER, Progress
from zoo.evaluation.predict import BATCH_SIZE, answers
from zoo.recipe import Recipe
from zoo.training.augment import augment, random_generator
from zoo.training.batches import TrainingBatches, made_ahead

#: Changed whenever the same view of the same image would have other pixels.
_VIEWS_VERSION = 2


@dataclass(frozen=True)
class Features:
    """Feature vectors of a data set.

    Args:
        data: The data set, with the features of the plain images in place of the pixels.
        views: For every view, the plain one first, the features of all images; of an image that is not trained on,
            the plain one in every view.
    """

    data: ImageData
    views: tuple[CachedArrays, ...]


@dataclass(frozen=True)
class FeatureBatches(TrainingBatches):
    """Training batches of features: an image shows its views in turn, one an epoch, each as often as the others."""

    views: tuple[CachedArrays, ...] = ()

    def inputs(self, epoch: int, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        batch = np.empty((len(chosen), *self.data.pixels.shape), np.float32)
        turns = (epoch + chosen) % len(self.views)
        for turn in np.unique(turns).tolist():
            batch[turns == turn] = self.views[turn].read(chosen[turns == turn])
        return batch


def compute_features(
    backbone: keras.Model, data: ImageData, recipe: Recipe, progress: Progress | None = None
) -> Features:
    """Runs the backbone over every image that is not in the cache yet.

    Args:
        backbone: From raw pixels to feature vectors ``(batch, features)``.
        data: The images.
        recipe: How many views, and their augmentation.
        progress: Called with images done and images to do.

    Raises:
        DataError: The cache cannot be written, or is too small.
    """
    digest = weights_digest(backbone)
    train = data.indices(TRAIN).tolist()
    everything = np.arange(len(data.names)).tolist()
    cache = ImageCache()
    try:
        jobs: list[tuple[str, int, list[int]]] = []
        for view in range(recipe.head_views):
            name = f"{recipe.augmentation}-{view}-v{_VIEWS_VERSION}" if view else "plain"
            key = f"features-{digest}-{data.spec.digest}-{DECODER}-{name}"
            jobs.append((key, view, train if view else everything))
        todo = [(key, view, _missing(cache, key, data, chosen, backbone)) for key, view, chosen in jobs]
        total = sum(len(chosen) for *_, chosen in todo)
        done = 0
        cache.make_room(total * _feature_bytes(backbone), keep=_segments(cache, jobs, data, backbone))
        for key, view, chosen in todo:
            if chosen:
                rows = _features(backbone, data, chosen, view, recipe, done, total, progress)
                cache.write_images(key, rows, _feature_bytes(backbone))
                done += len(chosen)
        plain = _places(cache, jobs[0][0], data, everything, backbone)
        views = [plain]
        for key, _, chosen in jobs[1:]:
            places = list(plain)
            for index, place in zip(chosen, _places(cache, key, data, chosen, backbone), strict=True):
                places[index] = place
            views.append(places)
    finally:
        cache.close()
    width = int(backbone.output_shape[-1])
    arrays = tuple(
        CachedArrays([(cache.segment_path(name), row) for name, row in places], (width,), "float32") for places in views
    )
    return Features(replace(data, pixels=arrays[0]), arrays)


def weights_digest(model: keras.Model) -> str:
    """What the features of a backbone depend on: its layers and its weights. 16 hexadecimal digits."""
    digest = hashlib.sha256(f"{keras.__version__} {keras.backend.backend()}".encode())
    digest.update(model.to_json().encode())  # every layer's settings, its precision among them
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        digest.update(f"{variable.path} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value, np.float32).data)
    return digest.hexdigest()[:16]


def _segments(
    cache: ImageCache, jobs: Sequence[tuple[str, int, list[int]]], data: ImageData, backbone: keras.Model
) -> set[str]:
    """The segments that already hold features of these jobs."""
    contents = list(dict.fromkeys(data.contents))
    found = (cache.rows(key, contents, _feature_bytes(backbone)).values() for key, *_ in jobs)
    return {segment for places in found for segment, _ in places}


def _feature_bytes(backbone: keras.Model) -> int:
    return 4 * int(backbone.output_shape[-1])


def _missing(cache: ImageCache, key: str, data: ImageData, chosen: Sequence[int], backbone: keras.Model) -> list[int]:
    """One index of every content among ``chosen`` that has no features yet."""
    known = cache.rows(key, [data.contents[index] for index in chosen], _feature_bytes(backbone))
    return list({data.contents[index]: index for index in chosen if data.contents[index] not in known}.values())


def _places(
    cache: ImageCache, key: str, data: ImageData, chosen: Sequence[int], backbone: keras.Model
) -> list[tuple[str, int]]:
    contents = [data.contents[index] for index in chosen]
    rows = cache.rows(key, contents, _feature_bytes(backbone))
    return [rows[content] for content in contents]


def _features(
    backbone: keras.Model,
    data: ImageData,
    chosen: Sequence[int],
    view: int,
    recipe: Recipe,
    done: int,
    total: int,
    progress: Progress | None,
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    parts = [chosen[start : start + BATCH_SIZE] for start in range(0, len(chosen), BATCH_SIZE)]
    views = made_ahead(lambda part: _view(data, part, view, recipe), parts)
    for part, images in zip(parts, views, strict=True):
        for index, row in zip(part, answers(backbone, images, total), strict=True):
            yield data.contents[index], row
        done += len(part)
        if progress:
            progress(done, total)


def _view(data: ImageData, chosen: Sequence[int], view: int, recipe: Recipe) -> NDArray[np.uint8]:
    """Pixels of one view: a function of content and view alone, so that its features can be cached."""
    images = data.pixels.read(chosen)
    if view:
        randoms = (random_generator(0, view, int(data.contents[index][:15], 16)) for index in chosen)
        augment(images, recipe.augmentation, randoms)
    return images
