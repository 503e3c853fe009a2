"""The index files of Open Images: gigabytes of CSV, kept in the cache, with resumable downloads."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.data.cache import cache_folder
from zoo.errors import DataError, UsageError
from zoo.fetch.disk import busy, unwritable
from zoo.fetch.errors import RefusedError
from zoo.fetch.names import digest, short_digest
from zoo.fetch.transfer import Remote, Transfer
from zoo.locks import locked

DEFAULT_INDEX = "https://storage.googleapis.com/openimages"
DEFAULT_IMAGES = "https://open-images-dataset.s3.amazonaws.com"
SPLITS = ("train", "validation", "test")

#: Average size of an image. According to the host of the mirror, its 1 910 098 images have 561 GB, and all 9.2 million
#: originals about 18 TB.
MIRROR_IMAGE_BYTES = 300 * 10**3
ORIGINAL_IMAGE_BYTES = 2 * 10**6

#: Maximum size; the largest file has 7 GB today.
_MAX_BYTES = 50 * 10**9

CLASSES = ("v7/oidv7-class-descriptions.csv",)

#: Labels that people confirmed or rejected, for each image.
LABELS = {
    "train": ("v7/oidv7-train-annotations-human-imagelabels.csv",),
    "validation": ("v7/oidv7-val-annotations-human-imagelabels.csv",),
    "test": ("v7/oidv7-test-annotations-human-imagelabels.csv",),
}

#: Address, licence, author and rotation of each image. For ``train``, the public mirror has only the images of the
#: first file. The second lists all images with labels, two thirds of which are only available from their authors.
IMAGES = {
    "train": (
        "2018_04/train/train-images-boxable-with-rotation.csv",
        "v6/oidv6-train-images-with-labels-with-rotation.csv",
    ),
    "validation": ("2018_04/validation/validation-images-with-rotation.csv",),
    "test": ("2018_04/test/test-images-with-rotation.csv",),
}


@dataclass(frozen=True)
class Index:
    """The index files: their source and their cache.

    Args:
        base: A URL without trailing slash, or a folder. The files are in the original subfolders, or all in one folder.
        transfer: Downloads the files.
    """

    base: str
    transfer: Transfer

    @property
    def is_folder(self) -> bool:
        return "://" not in self.base

    @property
    def cache(self) -> Path:
        """The cache folder, one per server, so that files of a mirror are kept apart from the originals."""
        return cache_folder() / "openimages" / short_digest(self.base)

    def on_disk(self, names: tuple[str, ...]) -> Path | None:
        """The path of the first of several names that exists locally."""
        folder = Path(self.base) if self.is_folder else self.cache
        paths = [folder / place for name in names for place in (name, Path(name).name)]
        return next((path for path in paths if path.is_file()), None)

    def size_bytes(self, names: tuple[str, ...]) -> int | None:
        """Size of a file, local or on the server."""
        path = self.on_disk(names)
        if path or self.is_folder:
            return path.stat().st_size if path else None
        sizes = (self.transfer.size_bytes(f"{self.base}/{name}") for name in names)
        return next((size for size in sizes if size is not None), None)

    def get(self, names: tuple[str, ...], progress: Callable[[int, int], None]) -> Path:
        """The path of the first of several names that is available. The file is downloaded if it is not local.

        Raises:
            UsageError: The folder has none of the files.
            DataError: No file could be downloaded; the message lists the attempts and an alternative.
        """
        path = self.on_disk(names)
        if path:
            return path
        if self.is_folder:
            raise UsageError(
                f"'{self.base}' has no {names[0]}.", "--index must be a URL, or a folder with the files of Open Images."
            )
        self._make_cache()
        reasons = []
        with locked(self.cache / "lock", busy(self.cache)):
            for place in [place for name in names for place in (name, Path(name).name)]:
                url = f"{self.base}/{place}"
                key = digest(url)[:32]
                try:
                    part = self.transfer.fetch(Remote(url=url, key=key, max_bytes=_MAX_BYTES), self.cache, progress)
                except RefusedError as error:
                    reasons.append(f"{url}: {error.reason}")
                    if not error.reason.startswith("HTTP "):
                        break  # no server responds, so another name would not help
                    continue
                return self._keep(part, Path(place).name)
        raise DataError(
            "The index of Open Images could not be downloaded. Tried: " + "; ".join(reasons) + ".",
            f"Without a network, download {Path(names[0]).name} on another machine and copy it to {self.cache}. "
            "Or give a mirror or a folder with --index.",
        )

    def _keep(self, part: Path, name: str) -> Path:
        try:
            return part.replace(self.cache / name)
        except OSError as error:
            raise unwritable(self.cache, error) from error

    def _make_cache(self) -> None:
        try:
            self.cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"Could not use the cache in {self.cache}: {error.strerror}.", "Set ZOO_CACHE_DIR to another folder."
            ) from error


def read_rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Reads the rows of a small CSV file as mappings by column.

    Raises:
        DataError: The file lacks a column, or is not CSV.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        reader = csv.DictReader(file)
        try:
            require_columns(path, reader.fieldnames or (), columns)
            for row in reader:
                yield {name: row.get(name) or "" for name in columns}
        except csv.Error as error:
            raise DataError(
                f"{path}, line {reader.line_num}: {error}.", "Remove the file. It will be downloaded again."
            ) from error


def require_columns(path: Path, found: object, columns: tuple[str, ...]) -> None:
    header = list(found) if isinstance(found, list | tuple) else []
    missing = [name for name in columns if name not in header]
    if missing:
        shown = ", ".join(header)[:200] or "none"
        raise DataError(
            f"{path} lacks the column(s) {', '.join(missing)}. Found: {shown}.",
            "If the file is in the cache, remove it; it will be downloaded again. If it is on a mirror, inform the"
            " mirror.",
        )
