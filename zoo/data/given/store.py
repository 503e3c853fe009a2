"""Writes given images to files in the cache folder, so that all later steps are the same as for photos.

    <cache>/given/<digest>/images.csv           path, label, split and SHA-256 of every image
    <cache>/given/<digest>/train/000017.png     image number 17 of those given for train
    <cache>/given/<digest>/images/000017.png    the same for images without a given split

The digest covers contents, labels and splits, so that the same data is found again. The images of an iterable are known
only after they are written, and their order may change each time. Their order is therefore not part of the digest.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.atomic import read_csv, write_csv
from zoo.atomic_folders import folder_aside
from zoo.data.cache import cache_folder
from zoo.data.given import png
from zoo.data.given.parts import Part
from zoo.data.ingest import Progress
from zoo.errors import DataError, TrainingError
from zoo.images.arrays import MULTIPLY

MANIFEST = "images.csv"

_COLUMNS = ("path", "label", "split", "sha256")

#: Space that is left free on the disk.
_SPARE_BYTES = 64 * 2**20

#: Prevents two threads of one process from filling the same folder.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class _Row:
    """A row of the manifest. ``size_bytes`` is the size of a written file, or -1 for a file of the user."""

    path: str
    label: str
    split: str
    sha256: str
    size_bytes: int

    def cells(self) -> tuple[str, str, str, str]:
        return self.path, self.label, self.split, self.sha256


def store(parts: Sequence[Part], progress: Progress | None = None) -> Path:
    """Writes all given images to the cache, unless they are there already.

    Args:
        parts: All given data.
        progress: Called with images done and images to do. If the data can be read twice, it counts all images twice:
            first while they are read, and then while they are written.

    Returns:
        The manifest, a CSV file for ``zoo train --data``.

    Raises:
        DataError: An item is not an image, the largest pixel value of all images is 1, or the disk is full.
        TrainingError: The cache folder cannot be created.
    """
    folder = cache_folder() / "given"
    again = all(part.again for part in parts)
    if again:
        rows = list(_rows(parts, None, progress))
        place = folder / _digest(rows)
        if _is_whole(place, rows):
            return place / MANIFEST
        _check_space(rows)
    with _ONE_AT_A_TIME:
        try:
            with folder_aside(folder / "new") as aside:
                rows = list(_rows(parts, aside, progress))
                write_csv(aside / MANIFEST, _COLUMNS, (row.cells() for row in rows))
                place = folder / _digest(rows if again else sorted(rows, key=lambda row: row.cells()[1:]))
                if not _is_whole(place, rows):
                    _put(aside, place)
        except (OSError, TrainingError) as error:
            raise _unwritable(folder, error) from error
    return place / MANIFEST


def _rows(parts: Sequence[Part], folder: Path | None, progress: Progress | None) -> Iterator[_Row]:
    """The rows of the manifest. If ``folder`` is given, images are written to it."""
    counts = [part.count for part in parts]
    total = None if None in counts else sum(count or 0 for count in counts)
    numbers: Counter[str] = Counter()
    brightest, done = 0, 0
    for part in parts:
        for item in part.items():
            split = item.split or ""
            if isinstance(item.image, str):
                brightest = 255  # unknown for a file of the user
                yield _Row(item.image, item.label, split, "", -1)
            else:
                if brightest <= 1:
                    brightest = max(brightest, int(item.image.max()))
                data = png.encode(item.image)
                below = split or "images"
                path = f"{below}/{numbers[below]:06d}.png"
                if folder is not None:
                    if not numbers[below]:
                        (folder / below).mkdir()
                    (folder / path).write_bytes(data)
                numbers[below] += 1
                yield _Row(path, item.label, split, hashlib.sha256(data).hexdigest(), len(data))
            done += 1
            if progress:  # while the total is unknown, there may be another image
                progress(done, done + 1 if total is None else total)
    if progress and total is None and done:
        progress(done, done)
    if done == 0:
        raise DataError("The given data contains no images.", "Give at least two images of each class.")
    if brightest == 1:
        raise DataError(
            f"No value of the {done} images exceeds 1; 255 is white.",
            MULTIPLY,
        )


def _digest(rows: Sequence[_Row]) -> str:
    """The digest of the rows. It covers the names of the user's files, but not those of written files, which depend
    only on the order."""
    digest = hashlib.sha256()
    for row in rows:
        cells = ("" if row.sha256 else row.path, *row.cells()[1:])
        digest.update(repr(cells).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _is_whole(place: Path, rows: Sequence[_Row]) -> bool:
    """Whether all files were written before and still exist."""
    sizes = {row.sha256: row.size_bytes for row in rows}
    try:
        found = read_csv(place / MANIFEST)
        return len(found) == len(rows) and all(
            os.stat(place / line["path"]).st_size == sizes[line["sha256"]]  # noqa: PTH116 - faster for a million files
            for line in found
            if line["sha256"]
        )
    except (OSError, KeyError):
        return False


def _put(aside: Path, place: Path) -> None:
    """Renames a complete folder. A damaged folder of that name is removed first."""
    shutil.rmtree(place, ignore_errors=True)
    try:
        aside.rename(place)
    except OSError:
        if not (place / MANIFEST).is_file():  # otherwise another process was faster, and its copy is equal
            raise


def _check_space(rows: Sequence[_Row]) -> None:
    needed = sum(row.size_bytes for row in rows if row.sha256)
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free - _SPARE_BYTES
    if needed > free:
        raise DataError(
            f"The images need {needed / 1e9:.2f} GB in {cache_folder()}; {max(free, 0) / 1e9:.2f} GB are free.",
            _MORE_SPACE,
        )


def _unwritable(folder: Path, error: OSError | TrainingError) -> DataError:
    if isinstance(error, TrainingError):
        return DataError(error.message, _MORE_SPACE)
    return DataError(f"Could not write the images to {folder}: {error.strerror or error}.", _MORE_SPACE)


_MORE_SPACE = "Free some space (`zoo cache --clear`), or set ZOO_CACHE_DIR to a larger disk."
