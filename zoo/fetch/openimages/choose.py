"""Finds the images in which people confirmed one of the given classes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.errors import DataError, UsageError
from zoo.fetch.disk import md5_from_base64
from zoo.fetch.download import Wanted
from zoo.fetch.folder import Credit, Failure
from zoo.fetch.names import Names, folded, short_digest
from zoo.fetch.openimages.files import CLASSES, IMAGES, LABELS, Index, read_rows
from zoo.fetch.openimages.scan import lines_with, offsets_of, rows_at

_LABEL_COLUMNS = ("ImageID", "LabelName", "Confidence")
_IMAGE_COLUMNS = ("ImageID", "OriginalURL", "OriginalLandingURL", "License", "Author")
_IMAGE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
Counter = Callable[[int, int], None]


@dataclass(frozen=True)
class Choice:
    """The images to download.

    Args:
        wanted: The images.
        verified: Number of images with a confirmed label, by class.
        failures: Images of the index that cannot be downloaded.
        notes: Sentences that the user should read.
    """

    wanted: list[Wanted]
    verified: dict[str, int]
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def resolve_classes(names: Sequence[str], index: Index, progress: Counter) -> dict[str, set[str]]:
    """The IDs of each class name in Open Images, such as ``/m/06ntj``. Several classes may have the same name.

    Raises:
        UsageError: The class does not exist; the message suggests similar names.
    """
    path = index.get(CLASSES, progress)
    ids: dict[str, set[str]] = {}
    for row in read_rows(path, ("LabelName", "DisplayName")):
        ids.setdefault(row["DisplayName"], set()).add(row["LabelName"])
    by_id = {one: name for name, found in ids.items() for one in found}
    by_fold: dict[str, str] = {name.casefold(): name for name in ids}
    found = {}
    for name in names:
        known = name if name in ids else by_fold.get(name.strip().casefold()) or by_id.get(name)
        if known is None:
            raise _unknown_class(name, list(ids), path)
        found[known] = ids[known]
    return found


def _unknown_class(name: str, known: list[str], path: Path) -> UsageError:
    folds = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), folds, n=3, cutoff=0.7)
    holding = [fold for fold in sorted(folds, key=len) if name.casefold() in fold.split()][:3]
    guesses = [f"'{folds[fold]}'" for fold in dict.fromkeys([*near, *holding])][:4]
    guess = f" Did you mean {' or '.join(guesses)}?" if guesses else ""
    return UsageError(
        f"Open Images has no class '{name}'.{guess}", f"For a list of all {len(known)} classes, see {path}."
    )


def choose(
    classes: Mapping[str, set[str]],
    split: str,
    limit: int | None,
    index: Index,
    folders: Names,
    image_url: Callable[[str], str] | None,
    progress: Counter,
) -> Choice:
    """Chooses the images with the lowest IDs of each class. IDs are random, and the choice is reproducible.

    An image that shows more than one of the classes is left out.

    Args:
        classes: The result of ``resolve_classes``.
        split: ``train``, ``validation`` or ``test``.
        limit: Maximum number of images per class.
        index: The index files.
        folders: Determines the folder of each class.
        image_url: Returns the URL of an image ID. ``None``: the URL of the original.
        progress: Called with the received bytes and the size of an index file.

    Raises:
        DataError: A class has no image.
    """
    labels = index.get(LABELS[split], progress)
    # The mirror has only the images of the first file. The last file lists more original images.
    names = IMAGES[split] if image_url else IMAGES[split][::-1]
    images = index.get(names, progress)
    ids, choice = _verified(classes, labels), Choice([], {})
    several = _in_several(ids)
    if several:
        choice.notes.append(f"{len(several)} images show more than one of these classes and are left out.")
    offsets = offsets_of(images, set().union(*ids.values()), _IMAGE_COLUMNS)
    chosen: dict[bytes, str] = {}
    for name, found in ids.items():
        choice.verified[name] = len(found)
        there = sorted(one for one in found if one in offsets and one not in several)
        if not there:
            raise _no_image(name, split, len(found), images)
        chosen |= dict.fromkeys(there[:limit], name)
    stems: set[tuple[str, str]] = set()
    for row in rows_at(images, {one: offsets[one] for one in chosen}):
        folder, image_id = folders.name(chosen[row["ImageID"].encode()]), row["ImageID"]
        if not _IMAGE_ID.fullmatch(image_id):
            choice.failures.append(Failure(row["OriginalURL"], folder, f"the ID {image_id!r} is not a valid file name"))
            continue
        # IDs are hexadecimal digits today. If two ever differ only in case, both get a file on every disk.
        stem = image_id if (folder, folded(image_id)) not in stems else f"{image_id}-{short_digest(image_id)}"
        stems.add((folder, folded(image_id)))
        choice.wanted.append(_wanted(row, folder, stem, image_url))
    choice.wanted.sort(key=lambda wanted: (wanted.folder, wanted.stem))
    return choice


def _verified(classes: Mapping[str, set[str]], path: Path) -> dict[str, set[bytes]]:
    """The images of each class with a confirmed label. Rows with confidence 0 are rejected labels."""
    by_id = {one: name for name, ids in classes.items() for one in ids}
    found: dict[str, set[bytes]] = {name: set() for name in classes}
    for row in lines_with(path, by_id, _LABEL_COLUMNS):
        name = by_id.get(row.get("LabelName", ""))
        if name is not None and row.get("Confidence", "") in ("1", "1.0"):
            found[name].add(row["ImageID"].encode())
    return found


def _in_several(ids: Mapping[str, set[bytes]]) -> set[bytes]:
    seen: set[bytes] = set()
    several: set[bytes] = set()
    for found in ids.values():
        several |= seen & found
        seen |= found
    return several


def _no_image(name: str, split: str, verified: int, images: Path) -> DataError:
    if not verified:
        return DataError(
            f"No image of the split '{split}' has the confirmed label '{name}'.",
            "Try another --split, or another class.",
        )
    return DataError(
        f"None of the {verified} images of '{name}' in the split '{split}' can be downloaded: "
        f"they are not listed in {images.name}, or they also show another of the classes.",
        "Try --originals, another --split, or fewer classes.",
    )


def _wanted(row: Mapping[str, str], folder: str, stem: str, image_url: Callable[[str], str] | None) -> Wanted:
    size = row.get("OriginalSize", "")
    return Wanted(
        url=image_url(row["ImageID"]) if image_url else row["OriginalURL"],
        folder=folder,
        stem=stem,
        credit=Credit(
            source="Open Images V7",
            url=row["OriginalURL"],
            page=row["OriginalLandingURL"],
            licence=row["License"],
            author=row["Author"],
            author_page=row.get("AuthorProfileURL", ""),
            title=row.get("Title", ""),
        ),
        # MD5 and size are those of the original; the mirror has smaller copies.
        md5="" if image_url else md5_from_base64(row.get("OriginalMD5", "")),
        size_bytes=int(size) if not image_url and size.isdecimal() else None,
        turn_degrees=_turn(row.get("Rotation", "")),
    )


def _turn(text: str) -> int:
    """Degrees counter-clockwise. In the index, unknown values are ``nan`` or empty."""
    try:
        degrees = float(text)
    except ValueError:
        return 0
    return int(degrees) if degrees in (90, 180, 270) else 0
