"""A dataset as found on disk: every image with label, split, content and facts, and every file that is not an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from zoo.audit.facts import FactFinder, Facts
from zoo.audit.records import Records
from zoo.data.arrays import CachedArrays
from zoo.data.cache import ImageCache, damage_note
from zoo.data.ingest import Progress, ingest
from zoo.data.named import find_source
from zoo.data.reading import Reader, read_here
from zoo.data.source import Entry, Skipped, list_source
from zoo.image_spec import ImageSpec
from zoo.reporter import Say

#: The preprocessing for every check, which is that of most pretrained networks.
SPEC = ImageSpec()


@dataclass(frozen=True, slots=True)
class Photo:
    """One usable image.

    Args:
        name: Path relative to the data folder, with forward slashes.
        path: Path of the file.
        label: Its class.
        split: ``train``, ``val``, ``test``, or ``None`` if the data has no splits.
        sha256: SHA-256 of the file.
        size_bytes: Size of the file.
        facts: Facts about the file.
    """

    name: str
    path: str
    label: str
    split: str | None
    sha256: str
    size_bytes: int
    facts: Facts


@dataclass(frozen=True)
class Photos:
    """All images of a source.

    Args:
        source: The source: a name, or a folder or file as an absolute path.
        root: The folder that names are relative to.
        photos: The usable images.
        pixels: Their pixels, preprocessed with ``SPEC``.
        skipped: Files that are not usable images, with the reason.
        labels: Every class that has a file, usable or not.
        notes: Sentences the user should read.
    """

    source: str
    root: Path
    photos: tuple[Photo, ...]
    pixels: CachedArrays
    skipped: tuple[Skipped, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.photos)

    @cached_property
    def contents(self) -> tuple[str, ...]:
        """SHA-256 of every file."""
        return tuple(photo.sha256 for photo in self.photos)

    @cached_property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Number of images by split (``""`` if there are no splits) and label."""
        found: dict[str, dict[str, int]] = {}
        for photo in self.photos:
            of_split = found.setdefault(photo.split or "", dict.fromkeys(self.labels, 0))
            of_split[photo.label] += 1
        return {split: found[split] for split in ("", "train", "val", "test") if split in found}


def read_photos(
    source: str,
    records: Records,
    progress: Progress | None = None,
    reader: Reader = read_here,
    refuse: Callable[[int, int], None] = lambda files, classes: None,
    say: Say | None = None,
) -> Photos:
    """Reads all images of ``source``. Images that were read before come from the cache.

    Args:
        source: A folder, a CSV file, or the name of a dataset.
        records: Facts of earlier runs.
        progress: Called with files done and files to do.
        reader: Reads and decodes files.
        refuse: Called with the number of files and of classes before any file is read. It may raise an error.
        say: Receives the number of files that are listed and looked up in the cache, if that takes long.

    Raises:
        UsageError: The source does not exist.
        DataError: The source contains no class, or the cache cannot be written.
    """
    name, path = find_source(source)
    listing = list_source(path, say)
    refuse(len(listing.entries), len({entry.label for entry in listing.entries}))
    with closing(ImageCache()) as cache:
        known = cache.contents.files([entry.path for entry in listing.entries]).values()
        finder = FactFinder(records, {sha256 for _, sha256 in known})
        del known
        try:
            found = ingest(listing.entries, SPEC, cache, progress, finder, reader, say)
        finally:
            facts = finder.settle()  # also after an interruption, so that the next run need not decode these files
    listing.check_still_there()
    return Photos(
        source=name,
        root=listing.root.absolute(),
        photos=tuple(
            _photo(entry, sha256, facts[sha256]) for entry, sha256 in zip(found.entries, found.contents, strict=True)
        ),
        pixels=found.pixels,
        skipped=(*listing.skipped, *found.skipped),
        labels=tuple(sorted({entry.label for entry in listing.entries})),
        notes=(*listing.notes, *([damage_note(found.damaged)] if found.damaged else [])),
    )


def _photo(entry: Entry, sha256: str, facts: Facts) -> Photo:
    try:
        size_bytes = Path(entry.path).stat().st_size
    except OSError:  # the file was removed after it was read
        size_bytes = 0
    return Photo(entry.name, entry.path, entry.label, entry.split, sha256, size_bytes, facts)
