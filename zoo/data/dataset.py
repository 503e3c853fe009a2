"""A dataset ready for training: labels, splits and pixels, with a digest that identifies it."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import CachedArrays, OnFile
from zoo.data.cache import ImageCache, bound_bytes, damage_note
from zoo.data.ingest import Ingested, Progress, ingest
from zoo.data.named import find_source
from zoo.data.reading import Reader, read_here
from zoo.data.source import SPLITS, TEST, TRAIN, UNLABELLED, VAL, Entry, Listing, Skipped, list_source
from zoo.data.splits import Labelled, Shares, assign_splits
from zoo.errors import DataError, quoted
from zoo.image_spec import ImageSpec
from zoo.reporter import Say
from zoo.run_folder.info import DataInfo


@dataclass(frozen=True)
class ImageData:
    """Images with labels and splits.

    Args:
        source: The source in ``--data``: a name, or a folder or file as an absolute path.
        root: The folder that names are relative to.
        spec: The preprocessing of the pixels.
        labels: Class names in the order of the model's outputs.
        names: File of each image, relative to ``root``.
        classes: Index into ``labels`` of each image, int64 ``(n,)``. -1 for an image without a label.
        splits: Split of each image: ``train``, ``val`` or ``test``, or ``unlabelled`` for a training image without a
            label.
        contents: SHA-256 of each file.
        pixels: The images.
        origin: ``given`` or ``made``, by split.
        skipped: Files that could not be used.
        notes: Sentences that the user should read.
        file_notes: The notes that are about files and the cache, not about the layout or the splits.
    """

    source: str
    root: Path
    spec: ImageSpec
    labels: tuple[str, ...]
    names: tuple[str, ...]
    classes: NDArray[np.int64]
    splits: tuple[str, ...]
    contents: tuple[str, ...]
    pixels: CachedArrays
    origin: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    file_notes: tuple[str, ...] = ()

    def indices(self, split: str) -> NDArray[np.int64]:
        """Positions of the images of a split."""
        return np.flatnonzero(np.array([name == split for name in self.splits], dtype=bool)).astype(np.int64)

    @cached_property
    def training(self) -> NDArray[np.int64]:
        """Positions of the images used for training: the training images, and those without a label."""
        return np.flatnonzero(np.isin(np.array(self.splits, dtype=object), (TRAIN, UNLABELLED))).astype(np.int64)

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """Number of images by split and label."""
        found = Counter(zip(self.splits, self.classes.tolist(), strict=True))
        return {split: {label: found[split, index] for index, label in enumerate(self.labels)} for split in SPLITS}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over labels and every image's content, label and split. It does not depend on paths."""
        rows = sorted(zip(self.contents, self.classes.tolist(), self.splits, strict=True))
        return hashlib.sha256(repr((self.labels, rows)).encode("utf-8", "surrogateescape")).hexdigest()

    def only(self, split: str) -> ImageData:
        """The images of one split."""
        return self.at(self.indices(split))

    def at(self, indices: NDArray[np.int64]) -> ImageData:
        """The images at ``indices``, in that order."""
        kept = indices.tolist()
        return replace(
            self,
            names=tuple(self.names[index] for index in kept),
            classes=self.classes[indices],
            splits=tuple(self.splits[index] for index in kept),
            contents=tuple(self.contents[index] for index in kept),
            pixels=self.pixels.only(kept),
        )

    def and_then(self, others: ImageData) -> ImageData:
        """These images, followed by others with the same ``ImageSpec``. Names become absolute paths."""
        return replace(
            self,
            names=(*self.paths(), *others.paths()),
            classes=np.concatenate([self.classes, others.classes]),
            splits=(*self.splits, *others.splits),
            contents=(*self.contents, *others.contents),
            pixels=self.pixels.and_then(others.pixels),
        )

    def with_validation_as_training(self) -> ImageData:
        """These images, with the validation images as training images."""
        return replace(self, splits=tuple(TRAIN if split == VAL else split for split in self.splits))

    def files(self, indices: NDArray[np.int64]) -> list[OnFile]:
        """The files of the images at ``indices``."""
        paths = self.paths()
        return [OnFile(paths[index], self.contents[index], self.spec) for index in indices.tolist()]

    def paths(self) -> tuple[str, ...]:
        """Absolute path of each file."""
        return tuple(os.path.join(self.root, name) for name in self.names)  # noqa: PTH118

    def seen_as(self, spec: ImageSpec, progress: Progress | None = None) -> ImageData:
        """The same images, preprocessed with another ``ImageSpec``.

        Args:
            spec: The preprocessing.
            progress: Called with files done and files to do, while files are decoded.

        Raises:
            DataError: A file is missing, unreadable, or has changed.
        """
        if spec == self.spec:
            return self
        entries = [Entry(path, name, "", None) for path, name in zip(self.paths(), self.names, strict=True)]
        with closing(ImageCache()) as cache:
            found = ingest(entries, spec, cache, progress)
        if found.contents != self.contents:
            present = dict(zip((entry.name for entry in found.entries), found.contents, strict=True))
            known = zip(self.names, self.contents, strict=True)
            first = next(name for name, sha256 in known if present.get(name) != sha256)
            reasons = {item.name: item.reason for item in found.skipped}
            raise DataError(
                f"'{first}' could not be read again: {reasons.get(first, 'it has changed')}.", "Run the command again."
            )
        return replace(self, spec=spec, pixels=found.pixels)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """``(path, label, split, sha256)`` of every image, as ``split.csv`` has them."""
        labels = [self.labels[index] for index in self.classes]
        return list(zip(self.names, labels, self.splits, self.contents, strict=True))

    def describe(self) -> DataInfo:
        """The entry in ``run.json``."""
        return DataInfo(
            source=self.source,
            root=str(self.root),
            digest=self.digest,
            counts=self.counts,
            split_origin=dict(self.origin),
            skipped=len(self.skipped),
            notes=tuple(self.notes),
        )


def load_data(
    source: str,
    spec: ImageSpec,
    *,
    split_seed: int = 0,
    validation: bool = True,
    progress: Progress | None = None,
    say: Say | None = None,
) -> ImageData:
    """Loads the data of ``--data`` for training: decoded, cached and split.

    Args:
        source: A folder, a CSV file, or the name of a dataset.
        spec: The preprocessing.
        split_seed: Seed of the random split.
        validation: Whether validation images are needed. If they are, and the source has none, they are taken from the
            training images. If they are not, those of the source become training images.
        progress: Called with files done and files to do, while files are decoded.
        say: Receives the number of files that are listed and looked up in the cache, if that takes long.

    Raises:
        UsageError: The source does not exist.
        DataError: There are fewer than two classes, or a class has no usable image or no training image.
    """
    name, path = find_source(source)
    listing = list_source(path, say)
    if len({entry.label for entry in listing.entries}) < 2:
        only = listing.entries[0].label
        raise DataError(
            f"'{source}' contains only one class, '{only}'. A classifier needs at least two.",
            "The expected layout is photos/<class>/*.jpg, with one folder per class.",
        )
    given = {entry.split for entry in listing.entries if entry.split}
    shares = Shares() if validation else Shares(val=0.0)
    data = _load(name, listing, spec, progress, labels=None, split_seed=split_seed, shares=shares, say=say)
    listing.check_still_there()
    spare = 0 if validation else len(data.indices(VAL))
    if spare:
        data = data.with_validation_as_training()
    untrained = [label for label, count in data.counts[TRAIN].items() if count == 0]
    if untrained:
        raise DataError(
            f"No training image in class(es) {quoted(untrained)}; other splits have some.",
            "Every class needs images in train/.",
        )
    if not any(data.counts[TEST].values()):
        raise DataError(
            f"'{source}' has {len(data.names)} usable image(s) in {len(data.labels)} classes, so no test images are"
            " left.",
            "Add images. The minimum is two different images per class, and fifty per class are a good start.",
        )
    origin = {split: "given" if split in given else "made" for split in SPLITS}
    data = _with_notes(data, origin)
    if not spare:
        return data
    note = (
        f"The {spare} validation images of the data are also used for training: the head is chosen by cross-validation."
    )
    return replace(data, notes=(*data.notes, note))


def load_for_evaluation(
    source: str,
    spec: ImageSpec,
    labels: tuple[str, ...],
    *,
    aliases: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    reader: Reader = read_here,
    say: Say | None = None,
) -> ImageData:
    """Loads images to evaluate a model: the given test split, or all images if the source has no splits.

    Args:
        source: A folder, a CSV file, or the name of a dataset.
        spec: The preprocessing.
        labels: The model's classes. The source may have fewer.
        aliases: Alternative folder names, each with its class.
        progress: Called with files done and files to do, while files are decoded.
        reader: Reads and decodes files.
        say: As for ``load_data``.

    Raises:
        DataError: The source has a class that the model was not trained on.
    """
    name, path = find_source(source)
    listing = list_source(path, say)
    if any(entry.split for entry in listing.entries):
        tests = [entry for entry in listing.entries if entry.split == TEST]
        if not tests:
            raise DataError(f"'{source}' is split but has no test split.", "Give the folder of class folders itself.")
        listing.entries[:] = tests
    named = {} if aliases is None else {alias: label for alias, label in aliases.items() if alias not in labels}
    listing.entries[:] = [
        Entry(entry.path, entry.name, named.get(entry.label, entry.label), TEST) for entry in listing.entries
    ]
    data = _load(name, listing, spec, progress, labels, reader=reader, say=say)
    listing.check_still_there()
    return data


def load_recorded(
    rows: Iterable[Mapping[str, str]],
    source: str,
    root: Path,
    spec: ImageSpec,
    labels: tuple[str, ...],
    *,
    partly: bool = False,
    progress: Progress | None = None,
    reader: Reader = read_here,
) -> ImageData:
    """Loads the images that a run recorded in its ``split.csv``, from their recorded paths.

    Args:
        rows: Rows of ``split.csv``.
        source, root, spec, labels: Values of the run.
        partly: Whether it is enough that some of the images are unchanged. If not, all must be.
        progress: Called with files done and files to do.
        reader: Reads and decodes files.

    Raises:
        DataError: Files are missing, unreadable, or have changed.
    """
    rows = list(rows)
    entries = [Entry(os.path.join(root, row["path"]), row["path"], row["label"], row["split"]) for row in rows]  # noqa: PTH118
    data = _load(source, Listing(root, entries), spec, progress, labels, reader=reader)
    recorded = {row["path"]: row["sha256"] for row in rows}
    present = dict(zip(data.names, data.contents, strict=True))
    gone = sorted(recorded.keys() - present.keys())
    changed = sorted(name for name, sha256 in present.items() if sha256 != recorded[name])
    # If the rows lack a split, `_load` has created it. The recorded splits are restored.
    split_of = {row["path"]: row["split"] for row in rows}
    data = replace(data, splits=tuple(split_of[name] for name in data.names))
    if not gone and not changed:
        return data
    if not partly or len(gone) + len(changed) == len(rows):
        raise DataError(
            f"The images of this run have changed: {len(gone)} are missing, {len(changed)} are different"
            f" (for example {(gone + changed)[0]!r}).",
            f"Restore them in {root}."
            if partly
            else f"Restore them in {root}, or evaluate on other images with --data.",
        )
    same = [row for row in rows if present.get(row["path"]) == row["sha256"]]
    return load_recorded(same, source, root, spec, labels, progress=progress, reader=reader)


def _load(
    name: str,
    listing: Listing,
    spec: ImageSpec,
    progress: Progress | None,
    labels: tuple[str, ...] | None,
    split_seed: int = 0,
    shares: Shares | None = None,
    reader: Reader = read_here,
    say: Say | None = None,
) -> ImageData:
    if labels is not None:
        strange = sorted({entry.label for entry in listing.entries} - set(labels))
        if strange:
            raise DataError(
                f"The model was not trained on the class(es) {quoted(strange)} of '{name}'.",
                f"Its classes are {quoted(labels)}.",
            )
    with closing(ImageCache()) as cache:
        ingested = ingest(listing.entries, spec, cache, progress, reader=reader, say=say)
    skipped = (*listing.skipped, *ingested.skipped)
    file_notes = (
        *([damage_note(ingested.damaged)] if ingested.damaged else []),
        *([_room_note(ingested)] if ingested.on_file else []),
        *_remarks(ingested),
    )
    present = {entry.label for entry in ingested.entries}
    wanted = labels or tuple(sorted({entry.label for entry in listing.entries}))
    if labels is None or not present:
        _refuse_lost_classes([label for label in wanted if label not in present], listing, ingested.skipped)
    labelled = [
        Labelled(entry.label, sha256, entry.split)
        for entry, sha256 in zip(ingested.entries, ingested.contents, strict=True)
    ]
    position = {label: index for index, label in enumerate(wanted)}
    return ImageData(
        source=name,
        root=listing.root.absolute(),
        spec=spec,
        labels=wanted,
        names=tuple(entry.name for entry in ingested.entries),
        classes=np.array([position[entry.label] for entry in ingested.entries], dtype=np.int64),
        splits=tuple(assign_splits(labelled, split_seed, shares)),
        contents=ingested.contents,
        pixels=ingested.pixels,
        origin={TEST: "given"},
        skipped=skipped,
        notes=(*listing.notes, *_changed(listing, ingested), *file_notes),
        file_notes=file_notes,
    )


def _room_note(ingested: Ingested) -> str:
    count = len(ingested.entries)
    return (
        f"{ingested.on_file} of {count} images have no room in the cache ({bound_bytes() / 1e9:g} GB): they are decoded"
        " every time they are read. Raise ZOO_CACHE_GB to decode them once."
    )


def _remarks(ingested: Ingested) -> list[str]:
    """One sentence per type of remark, with the number of files and an example.

    Remarks that differ only in numbers are of the same type.
    """
    files: dict[str, list[str]] = {}
    for name, remark in ingested.remarks.items():
        files.setdefault(re.sub(r"\d+", "", remark), []).append(name)
    return [
        f"{len(names)} file(s) used with a remark, for example {names[0]!r}: {ingested.remarks[names[0]]}."
        for names in files.values()
    ]


def _changed(listing: Listing, ingested: Ingested) -> list[str]:
    """A note on files that have changed since the manifest was written."""
    present = zip(ingested.entries, ingested.contents, strict=True)
    changed = [entry.name for entry, sha256 in present if listing.recorded.get(entry.name, sha256) != sha256]
    if not changed:
        return []
    return [
        f"{len(changed)} file(s) changed since the manifest was written, for example {changed[0]!r}. Split the data"
        " again."
    ]


def _refuse_lost_classes(lost: Sequence[str], listing: Listing, skipped: Sequence[Skipped]) -> None:
    if not lost:
        return
    labels = {entry.name: entry.label for entry in listing.entries}
    example = next(item for item in skipped if labels[item.name] in lost)
    raise DataError(
        f"No usable image in class(es) {quoted(lost)}; {len(skipped)} file(s) could not be used"
        f" (for example {example.name!r}: {example.reason}).",
        "Replace the files, or remove the class.",
    )


def _with_notes(data: ImageData, origin: Mapping[str, str]) -> ImageData:
    notes = list(data.notes)
    labels_of: dict[str, set[int]] = {}
    for sha256, label in zip(data.contents, data.classes.tolist(), strict=True):
        labels_of.setdefault(sha256, set()).add(label)
    contradictory = sum(len(found) > 1 for found in labels_of.values())
    if contradictory:
        notes.append(
            f"{contradictory} image(s) appear with the same bytes under more than one label; see `zoo data check`."
        )
    for split in (name for name in SPLITS if name != TRAIN and any(data.counts[name].values())):
        empty = [label for label, count in data.counts[split].items() if count == 0]
        if empty:
            notes.append(f"No {split} image in class(es) {quoted(empty)}: too few images.")
    return replace(data, origin=origin, notes=tuple(notes))
