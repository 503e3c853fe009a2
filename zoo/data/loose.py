"""Photos that belong to no dataset: those in a folder without labels, and those of another run that are unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.data.cache import ImageCache
from zoo.data.dataset import ImageData
from zoo.data.ingest import Ingested, Progress, ingest
from zoo.data.source import UNLABELLED, Entry, list_unlabelled
from zoo.errors import DataError
from zoo.image_spec import ImageSpec


def load_unlabelled(folder: Path, spec: ImageSpec, progress: Progress | None = None) -> ImageData:
    """The photos in a folder and its subfolders, with any names, decoded and cached.

    Args:
        folder: The folder.
        spec: The preprocessing.
        progress: Called with files done and files to do, while files are decoded.

    Raises:
        UsageError: The folder does not exist.
        DataError: The folder cannot be listed, or contains no usable image.
    """
    folder = folder.absolute()
    listing = list_unlabelled(folder)
    with closing(ImageCache()) as cache:
        found = ingest(listing.entries, spec, cache, progress)
    listing.check_still_there()
    skipped = (*listing.skipped, *found.skipped)
    if not found.entries:
        raise DataError(
            f"'{folder}' contains {len(skipped)} file(s), but no usable image, for example {skipped[0].name!r}:"
            f" {skipped[0].reason}.",
            "Give a folder of photos. Photos in its subfolders are used too.",
        )
    return replace(_as_data(found, range(len(found.entries)), spec), source=str(folder), root=folder, skipped=skipped)


def load_unchanged(
    known: Iterable[tuple[str, Entry]], spec: ImageSpec, labels: tuple[str, ...], progress: Progress | None = None
) -> ImageData:
    """The photos of another run whose content has not changed, decoded and cached, each content once.

    Args:
        known: SHA-256 and entry of each photo. If a content has several paths, one of them is enough. The label of an
            entry may be empty.
        spec: The preprocessing.
        labels: Class names in the order of the class indices.
        progress: Called with files done and files to do, while files are decoded.

    Raises:
        DataError: The cache cannot be written.
    """
    places = {entry.path: (sha256, entry) for sha256, entry in known}
    with closing(ImageCache()) as cache:
        found = ingest([entry for _, entry in places.values()], spec, cache, progress)
    first: dict[str, int] = {}
    for place, (entry, sha256) in enumerate(zip(found.entries, found.contents, strict=True)):
        if places[entry.path][0] == sha256:
            first.setdefault(sha256, place)
    return _as_data(found, list(first.values()), spec, labels)


def _as_data(found: Ingested, kept: Sequence[int], spec: ImageSpec, labels: tuple[str, ...] = ()) -> ImageData:
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
        contents=tuple(found.contents[place] for place in kept),
        pixels=found.pixels.only(kept),
        skipped=found.skipped,
    )
