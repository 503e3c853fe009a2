"""Computes the features of every image with a pretrained backbone, and keeps them in the cache of images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.audit.photos import SPEC, Photos
from zoo.data.arrays import CachedArrays, OnFile
from zoo.data.cache import ImageCache
from zoo.data.ingest import DECODER, Progress
from zoo.errors import UsageError
from zoo.evaluation.predict import predict_inputs
from zoo.interfaces import Architecture
from zoo.registry import Offer, architectures

if TYPE_CHECKING:
    import keras

    from zoo.evaluation.photo_cluster import PhotoCluster

#: Small, because with 32 the activations of MobileNetV2 need 400 MB more, and an image takes the same time.
_BATCH_SIZE = 8

_OWN_DISTRIBUTION = "keras-edge-zoo"


def find_backbone(name: str | None = None) -> Offer[Architecture] | None:
    """Finds an architecture with a backbone and pretrained weights: the named one, or else one of zoo, or else any.

    Raises:
        UsageError: The named architecture does not exist, or has no backbone or no weights.
    """
    if name is not None:
        offer = architectures().offer(name)
        if not _serves(offer):
            raise UsageError(f"Architecture '{name}' has no pretrained backbone.", "Choose another one: `zoo list`.")
        return offer
    known = architectures()
    offers = [offer for offer in known if not known.contested(offer.record.name) and _serves(offer)]
    return min(offers, key=lambda offer: (offer.distribution != _OWN_DISTRIBUTION, offer.record.name), default=None)


def _serves(offer: Offer[Architecture]) -> bool:
    return offer.record.backbone is not None and bool(offer.record.weights)


def features_key(offer: Offer[Architecture]) -> str:
    """A key that contains everything that determines the features, except the content of an image."""
    weights = offer.record.weights[0].name
    backbone = f"{offer.record.name}-{weights}-{offer.distribution}-{offer.version}-keras{_version('keras')}"
    return f"audit-features-{backbone}-{SPEC.digest}-{DECODER}"


class Features:
    """Feature vectors of length 1, ``(n, features)`` float32. They stay in the cache, and rows are read when needed.

    Args:
        vectors: Feature vectors of any length.
    """

    def __init__(self, vectors: CachedArrays) -> None:
        self.shape = (len(vectors), *vectors.shape)
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._vectors)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> NDArray[np.float32]:
        chosen = np.arange(len(self))[rows] if isinstance(rows, slice) else rows
        vectors = self._vectors.read(chosen.tolist())
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.asarray(vectors, np.float32)


def backbone_features(
    photos: Photos,
    offer: Offer[Architecture],
    start_backend: Callable[[], object],
    progress: Progress | None = None,
    cluster: PhotoCluster | None = None,
) -> Features:
    """The features of all images.

    Args:
        photos: The images.
        offer: From ``find_backbone``.
        start_backend: Called before Keras is imported. It is not called if the cache has all features.
        progress: Called with images done and images to do.
        cluster: Computes the features that the cache does not have. ``None``: this process.

    Raises:
        DataError: The cache cannot be written, or is too small.
    """
    key = features_key(offer)
    with closing(ImageCache()) as cache:
        width = _known_width(cache, key)
        known = cache.rows(key, list(dict.fromkeys(photos.contents)), 4 * width) if width else {}
        missing = {sha256: index for index, sha256 in enumerate(photos.contents) if sha256 not in known}
        if missing:
            start_backend()
            backbone = _build(offer.record)
            width = int(backbone.output_shape[-1])

            def make(contents: Sequence[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
                chosen = [missing[sha256] for sha256 in contents]
                return _compute(backbone, offer.record.name, photos, chosen, progress, cluster)

            known |= cache.filled(key, list(missing), 4 * width, make)
    places = [known[sha256] for sha256 in photos.contents]
    return Features(CachedArrays(places, (width,), "float32"))


def _known_width(cache: ImageCache, key: str) -> int:
    """Length of the vectors that the cache has for a key. 0 if it has none."""
    return cache.row_bytes(key) // 4


def _build(architecture: Architecture) -> keras.Model:
    import keras

    weights = architecture.weights[0]
    model = architecture.build(SPEC.input_shape, len(weights.labels()))
    weights.load(model, True)
    return keras.Model(model.inputs, model.get_layer(architecture.backbone).output)


def open_backbone(name: str) -> keras.Model:
    """The backbone of the architecture with this name, on any machine that has it."""
    return _build(architectures().get(name))


def _compute(
    backbone: keras.Model,
    name: str,
    photos: Photos,
    missing: Sequence[int],
    progress: Progress | None,
    cluster: PhotoCluster | None,
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    total = _BATCH_SIZE + 1  # batches are always full, because a backend compiles the model for each batch size
    parts: Iterable[tuple[int, NDArray[np.float32]]]
    if cluster:
        files = [OnFile(photos.photos[index].path, photos.contents[index], SPEC) for index in missing]
        parts = cluster.outputs(partial(open_backbone, name), backbone, files, total, _BATCH_SIZE)
    else:
        batches = ((start, missing[start : start + _BATCH_SIZE]) for start in range(0, len(missing), _BATCH_SIZE))
        parts = (
            (start, predict_inputs(backbone, photos.pixels.read(chosen), total, _BATCH_SIZE))
            for start, chosen in batches
        )
    done = 0
    for start, rows in parts:
        for index, row in zip(missing[start : start + len(rows)], rows, strict=True):
            yield photos.contents[index], row
        done += len(rows)
        if progress:
            progress(done, len(missing))


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
