"""The photos of a folder without labels, and why some of them are not used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.reporter import Reporter

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.image_spec import ImageSpec

#: Reasons why a photo is left out. ``USED``: the photo is used.
USED, NEAR, KNOWN, REPEATED = "used", "near", "known", "repeated"


@dataclass(frozen=True)
class Sorted:
    """Photos without labels, and for each of them whether it is used.

    Args:
        photos: The photos.
        kinds: For each photo, ``USED`` or the reason why it is left out.
        whys: For each photo, the image that it repeats, or an empty text.
        unsearched: What was not compared, and why. Empty if everything was compared.
    """

    photos: ImageData
    kinds: tuple[str, ...]
    whys: tuple[str, ...]
    unsearched: str

    @property
    def used(self) -> ImageData:
        import numpy as np

        return self.photos.at(np.array([place for place, kind in enumerate(self.kinds) if kind == USED], np.int64))


def sort_unlabelled(
    folder: Path,
    spec: ImageSpec,
    judged: ImageData | None,
    known: Mapping[str, str],
    sought: str,
    reporter: Reporter,
) -> Sorted:
    """Reads the photos of a folder, and leaves out copies of ``known`` images and near-duplicates of ``judged`` images.

    Args:
        folder: The folder. Its subfolders are read too.
        spec: The preprocessing.
        judged: Images on which the model is validated, tested or verified. ``None`` if there are none.
        known: Names of images that are used anyway, by SHA-256.
        sought: Name of the ``judged`` images in messages.
        reporter: Receives the progress.

    Raises:
        UsageError: The folder does not exist.
        DataError: It contains no usable image.
    """
    from zoo.audit.leakage import find_copies_in_parts
    from zoo.data.loose import load_unlabelled

    photos = load_unlabelled(folder, spec, reporter.counter("decoding"))
    both = judged.and_then(photos) if judged else photos
    places = list(range(len(both.names)))
    first_photo = len(judged.names) if judged else 0
    counter = reporter.counter(f"looking for near-duplicates of {sought}")
    leaks = find_copies_in_parts(both, places[first_photo:], places[:first_photo], counter, of=sought)
    shows = {leak.name: leak for leak in leaks.leaks}
    first: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for name, path, sha256 in zip(photos.names, both.names[first_photo:], photos.contents, strict=True):
        if sha256 in known:
            found.append((KNOWN, known[sha256]))
        elif path in shows:
            found.append((NEAR, f"{shows[path].split} image {shows[path].near_duplicate}"))
        elif sha256 in first:
            found.append((REPEATED, first[sha256]))
        else:
            first[sha256] = name
            found.append((USED, ""))
    kinds, whys = zip(*found, strict=True)
    return Sorted(photos, kinds, whys, leaks.unsearched or "")
