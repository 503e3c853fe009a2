"""Loads those photos of another run that still exist unchanged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from zoo.data.cache import ImageCache
from zoo.data.dataset import ImageData
from zoo.data.ingest import Progress, ingest
from zoo.data.source import UNLABELLED, Entry
from zoo.image_spec import ImageSpec


def load_present(
    known: Iterable[tuple[str, Entry]], spec: ImageSpec, labels: tuple[str, ...], progress: Progress | None = None
) -> ImageData:
    """Loads the photos whose content has not changed, decoded and cached, each content once.

    Args:
        known: SHA-256 and entry of each photo. If a content has several paths, one of them is enough. The label of an
            entry may be empty.
        spec: The preprocessing.
        labels: Class names in the order of the class indices.
        progress: Called with files done and files to do, while files are decoded.

    Raises:
        DataError: The cache cannot be written, or is too small.
    """
    places = {entry.path: (sha256, entry) for sha256, entry in known}
    cache = ImageCache()
    try:
        found = ingest([entry for _, entry in places.values()], spec, cache, progress)
    finally:
        cache.close()
    first: dict[str, int] = {}
    for place, (entry, sha256) in enumerate(zip(found.entries, found.contents, strict=True)):
        if places[entry.path][0] == sha256:
            first.setdefault(sha256, place)
    kept = list(first.values())
    entries = [found.entries[place] for place in kept]
    number = {label: index for index, label in enumerate(labels)}
    return ImageData(
        source="",
        root=Path(),
        spec=spec,
        labels=labels,
        names=tuple(entry.name for entry in entries),
        classes=np.array([number.get(entry.label, -1) for entry in entries], np.int64),
        splits=tuple(entry.split or UNLABELLED for entry in entries),
        contents=tuple(first),
        pixels=found.pixels.only(kept),
        origin={},
        skipped=found.skipped,
        notes=(),
        file_notes=(),
    )
