"""The split of a dataset into training, validation and test photos. Near-duplicates stay in one split."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError, UsageError
from zoo.reporter import Reporter
from zoo.workflows.host import host_kept

if TYPE_CHECKING:
    from zoo.audit.division import Division
    from zoo.audit.photos import Photos
    from zoo.data.card import CardPart


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    """What to split, and how.

    Args:
        data: A folder of class folders, a CSV file, or the name of a dataset.
        test, val: Share of test photos and of validation photos, 0 to 1.
        seed: Seed of the split.
        group_by: A regular expression. Photos whose names give the same match stay in one split.
        keep: An earlier manifest. Its photos keep their split.
        out: The manifest to write.
        copy, link: A folder to create, with copies or with symbolic links.
        backbone: The architecture whose features are compared to find near-duplicates. ``None``: the first that has
            pretrained weights.
    """

    data: str
    test: float = 0.2
    val: float = 0.1
    seed: int = 0
    group_by: str | None = None
    keep: Path | None = None
    out: Path = Path("manifest.csv")
    copy: Path | None = None
    link: Path | None = None
    backbone: str | None = None

    def command(self) -> str:
        """The equivalent command line."""
        return shlex.join(["zoo", "data", "split", self.data, *self._arguments()])

    def _arguments(self) -> Iterator[str]:
        given: dict[str, Any] = {"test": self.test, "val": self.val, "seed": self.seed, "group-by": self.group_by}
        given |= {"keep": self.keep, "out": self.out, "copy": self.copy, "link": self.link, "backbone": self.backbone}
        for name, value in given.items():
            if value is not None:
                yield from (f"--{name}", str(value))


@dataclass(frozen=True, kw_only=True)
class Split:
    """Result of a split.

    Args:
        counts: Number of photos, by split and class.
        told: Notes, one sentence each.
        manifest, card: Files that were written.
        folder: Folder of copies or links, if requested.
    """

    counts: Mapping[str, Mapping[str, int]]
    told: tuple[str, ...]
    manifest: Path
    card: Path
    folder: Path | None


def split(request: SplitRequest, reporter: Reporter) -> Split:
    """Splits photos and writes a manifest. No photo is moved or changed.

    Raises:
        UsageError: The shares, the expression or the paths cannot be used.
        DataError: The photos cannot be split as requested, or cannot be read.
    """
    from zoo.audit.audit import read_and_compare
    from zoo.audit.division import check_expression, check_shares, divide
    from zoo.audit.manifest import copy_file, link_file, read_kept, refuse_existing, write_division
    from zoo.backend import start_keras

    check_shares(request.test, request.val)
    if request.group_by is not None:
        check_expression(request.group_by)
    if request.copy and request.link:
        raise UsageError("--copy and --link cannot be combined.", "Give one of them.")
    folder = request.copy or request.link
    refuse_existing(request.out, folder, request.keep)
    kept = read_kept(request.keep) if request.keep else {}
    with host_kept():
        photos, near = read_and_compare(request.data, request.backbone, start_keras, reporter)
    told = _told_of_kept(photos, kept, request.keep) if request.keep else []
    division = divide(photos.photos, near, request.test, request.val, request.seed, request.group_by, kept)
    told += _told_of_groups(photos, division)
    part = _card(photos, division, request, told)  # reads files of the user, so it comes before anything is written
    place = copy_file if request.copy else link_file
    card = write_division(request.out, photos.photos, division.splits, part, folder, place)
    if any(photo.split for photo in photos.photos):
        told.append("The existing splits of the data are ignored.")
    if photos.skipped:
        first = photos.skipped[0]
        told.append(f"{len(photos.skipped)} file(s) left out, for example {first.name}: {first.reason}")
    counts = _counts(photos, division.splits)
    return Split(counts=counts, told=tuple(told), manifest=request.out, card=card, folder=folder)


def _counts(photos: Photos, splits: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = {split: dict.fromkeys(photos.labels, 0) for split in ("train", "val", "test") if split in splits}
    for photo, split in zip(photos.photos, splits, strict=True):
        counts[split][photo.label] += 1
    return counts


def _told_of_kept(photos: Photos, kept: Mapping[str, str], keep: Path) -> list[str]:
    contents = set(photos.contents)
    here = sum(sha256 in kept for sha256 in photos.contents)
    if not here:
        raise DataError(
            f"None of the {len(kept)} photos listed in '{keep}' is in '{photos.source}'.",
            "Give the manifest of this data, or omit --keep.",
        )
    return [f"Kept as in {keep.name}: {here}. New: {len(photos) - here}. Missing: {len(kept.keys() - contents)}."]


def _told_of_groups(photos: Photos, division: Division) -> list[str]:
    lines = []
    if division.groups:
        lines.append(
            f"{division.grouped} photos form {division.groups} groups of related photos. Each group is in one split."
        )
    if division.torn:
        group = sorted(division.torn[0], key=lambda index: division.splits[index])
        shown = [f"{photos.photos[index].name} ({division.splits[index]})" for index in (group[0], group[-1])]
        lines.append(
            f"{len(division.torn)} group(s) of related photos are in several splits, for example {' and '.join(shown)}."
            " They stay there, so the test accuracy may be too high. New photos of such a group go to test if it has"
            " photos there, otherwise to val."
        )
    return lines


def _card(photos: Photos, division: Division, request: SplitRequest, told: Sequence[str]) -> CardPart:
    from zoo.data.card import CardPart, licences_beside

    notes = [
        f"The manifest is {request.out.name}. Its hashes show whether a file has changed since the split.",
        *told,
    ]
    if photos.skipped:
        notes.append(f"{len(photos.skipped)} files could not be used and are left out.")
    return CardPart(
        key="split",
        title="Split",
        command=request.command(),
        sources=[(photos.source, len(photos))],
        counts=_counts(photos, division.splits),
        licences=licences_beside(photos.root),
        notes=notes,
    )
