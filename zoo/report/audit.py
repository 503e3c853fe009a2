"""The page of ``zoo data check``, which shows the affected pictures. It needs no network, no script and no other
file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath

import cv2
import numpy as np

from zoo.audit.audit import Audit
from zoo.audit.composition import parts
from zoo.audit.findings import KINDS, SEVERITIES
from zoo.audit.photos import Photo
from zoo.audit.text import sentence, to_mend
from zoo.report.grids import Picture
from zoo.report.page import Column, write_page

#: Maximum number of findings of a type on the page. The output of ``--json`` contains all.
MOST_SHOWN = 60
_MOST_OF_A_GROUP = 8
_SIDE_BY_SIDE = ("leak", "contradiction", "altered", "duplicate", "mirrored")


def write_audit_page(found: Audit, path: Path) -> Path:
    """Writes the page.

    Args:
        found: The result of the check. Its pictures are read from the cache.
        path: Path of the page.

    Returns:
        ``path``.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    severities = Counter(finding.severity for finding in found.findings)
    return write_page(
        path,
        "audit",
        found=found,
        source=found.photos.source,
        title=PurePath(found.photos.source).name,
        severities={severity: severities[severity] for severity in SEVERITIES},
        worst=next((severity for severity in SEVERITIES if severities[severity]), "note"),
        to_mend=to_mend(found),
        kinds=[(KINDS[kind], findings, sentence(found, kind, findings)) for kind, findings in found.by_kind.items()],
        side_by_side=_SIDE_BY_SIDE,
        most_shown=MOST_SHOWN,
        most_of_a_group=_MOST_OF_A_GROUP,
        pictures=_Pictures(found),
        facts=_facts(found),
        columns_of_counts=[
            Column("Class", figures=False),
            *(Column(split or "Images") for split in found.photos.counts),
        ],
        parts=parts(found.photos),
    )


class _Pictures:
    """The checked pictures by file name, with the aspect ratio of the file."""

    def __init__(self, found: Audit) -> None:
        self._found = found
        self._places = {photo.name: place for place, photo in enumerate(found.photos.photos)}

    def photo(self, file: str) -> Photo | None:
        return self._found.photos.photos[self._places[file]] if file in self._places else None

    def picture(self, file: str) -> Picture:
        if file not in self._places:
            return None
        place = self._places[file]
        facts = self._found.photos.photos[place].facts
        squashed = self._found.photos.pixels.read([place])[0]
        longest = max(facts.width_px, facts.height_px)
        width, height = (max(8, round(224 * side / longest)) for side in (facts.width_px, facts.height_px))
        return np.asarray(cv2.resize(squashed, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _facts(found: Audit) -> Iterator[tuple[str, str, int]]:
    """Properties of the files: each value, and the number of pictures with it."""
    photos = found.photos.photos
    for title, values in (
        ("Format", Counter(photo.facts.format for photo in photos)),
        ("Mode", Counter(photo.facts.mode for photo in photos)),
        ("Bits per channel", Counter(str(photo.facts.bits) for photo in photos)),
        ("Megapixels", Counter(_megapixels(photo) for photo in photos)),
    ):
        for value, count in values.most_common():
            yield title, value, count


def _megapixels(photo: Photo) -> str:
    size = photo.facts.width_px * photo.facts.height_px / 1e6
    for limit in (0.01, 0.1, 0.5, 1, 5, 20):
        if size < limit:
            return f"below {limit:g}"
    return "20 and more"
