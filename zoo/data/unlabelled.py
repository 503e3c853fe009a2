"""Photos without labels: all files in a folder and its subfolders, whatever their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.data.cache import ImageCache
from zoo.data.dataset import ImageData
from zoo.data.ingest import Progress, ingest
from zoo.data.source import UNLABELLED, list_unlabelled
from zoo.errors import DataError
from zoo.image_spec import ImageSpec


def load_unlabelled(folder: Path, spec: ImageSpec, progress: Progress | None = None) -> ImageData:
    """The photos below a folder, decoded and cached.

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
    cache = ImageCache()
    try:
        found = ingest(listing.entries, spec, cache, progress)
    finally:
        cache.close()
    listing.check_still_there()
    skipped = (*listing.skipped, *found.skipped)
    if not found.entries:
        raise DataError(
            f"'{folder}' contains {len(skipped)} file(s), but no usable image, for example {skipped[0].name!r}:"
            f" {skipped[0].reason}.",
            "Give a folder of photos; those in its folders count too.",
        )
    count = len(found.entries)
    return ImageData(
        source=str(folder),
        root=folder,
        spec=spec,
        labels=(),
        names=tuple(entry.name for entry in found.entries),
        classes=np.full(count, -1, np.int64),
        splits=(UNLABELLED,) * count,
        contents=found.contents,
        pixels=found.pixels,
        origin={},
        skipped=skipped,
        notes=(),
        file_notes=(),
    )
