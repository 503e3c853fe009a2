"""File properties of the images of each class and split, and classes that can be told apart by them.

A model learns anything that distinguishes the classes. If one class is stored as PNG and another as JPEG, it may learn
the compression artefacts, and its accuracy on such files does not carry over to others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.audit.files import FEW_BELOW
from zoo.audit.findings import Finding
from zoo.audit.photos import SPEC, Photo, Photos
from zoo.figures import percent

#: A property reveals a class if at least the first share of its images has it, and at most the second share of the
#: images of another class.
MOST, HARDLY = 0.9, 0.1

#: The size reveals a class if nearly all of its images are smaller by this factor and smaller than the input of a
#: network, so that enlarging blurs them.
_TIMES_SMALLER = 2.0

Sizes = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Part:
    """The images of one class in one split.

    Args:
        label: The class.
        split: The split. ``None`` if the data has no splits.
        pictures: Number of images.
        formats, modes: Number of images of each format and mode.
        sizes: Sizes as returned by ``sizes``.
    """

    label: str
    split: str | None
    pictures: int
    formats: Mapping[str, int]
    modes: Mapping[str, int]
    sizes: Sizes


def parts(photos: Photos) -> list[Part]:
    """The parts in order of class and split. Parts without images are left out."""
    found: dict[tuple[str, str], list[Photo]] = {}
    for photo in photos.photos:
        found.setdefault((photo.label, photo.split or ""), []).append(photo)
    return [
        Part(
            label=label,
            split=split or None,
            pictures=len(mine),
            formats=dict(Counter(photo.facts.format for photo in mine).most_common()),
            modes=dict(Counter(photo.facts.mode for photo in mine).most_common()),
            sizes=sizes(mine),
        )
        for label in photos.labels
        for split in photos.counts
        if (mine := found.get((label, split)))
    ]


def sizes(photos: Sequence[Photo]) -> Sizes:
    """Smallest, median and largest of the sides in pixels, and of the files in bytes."""

    def three(values: Sequence[int]) -> dict[str, int]:
        return {"smallest": min(values), "median": int(np.median(values)), "largest": max(values)}

    return {
        "width_px": three([photo.facts.width_px for photo in photos]),
        "height_px": three([photo.facts.height_px for photo in photos]),
        "file_bytes": three([photo.size_bytes for photo in photos]),
    }


def shortcut_findings(photos: Photos) -> list[Finding]:
    """Formats, modes, transparency and sizes that distinguish classes, one finding each. Small classes are left out."""
    classes: dict[str, list[Photo]] = {}
    for photo in photos.photos:
        classes.setdefault(photo.label, []).append(photo)
    judged = {label: mine for label, mine in sorted(classes.items()) if len(mine) >= FEW_BELOW}
    found = [
        _by_share(judged, "format", lambda photo: photo.facts.format),
        _by_share(judged, "mode", lambda photo: f"stored as {photo.facts.mode}"),
        _by_share(judged, "alpha", lambda photo: "with transparency" if photo.facts.alpha else None),
        _by_size(judged),
    ]
    return [finding for finding in found if finding]


def _by_share(
    classes: Mapping[str, Sequence[Photo]], name: str, value_of: Callable[[Photo], str | None]
) -> Finding | None:
    """The value of a property that distinguishes classes best. Of two equally good values, the rarer one."""
    counts = {label: Counter(map(value_of, mine)) for label, mine in classes.items()}
    total = sum(counts.values(), Counter[str | None]())
    best: Finding | None = None
    for value in sorted((value for value in total if value), key=lambda value: (total[value], value)):
        shares = {label: counts[label][value] / len(mine) for label, mine in classes.items()}
        most = {label: share for label, share in shares.items() if share >= MOST}
        hardly = {label: share for label, share in shares.items() if share <= HARDLY}
        if most and hardly:
            gap = min(most.values()) - max(hardly.values())
            if best is None or gap > best.score:
                least, highest = min(most.values()), max(hardly.values())
                more = f"{'at least ' if len(most) > 1 else ''}{percent(least, 0)} of {_names(most)}"
                less = f"{'at most ' if len(hardly) > 1 else ''}{percent(highest, 0)} of {_names(hardly)}"
                rounded = {label: round(share, 4) for label, share in shares.items()}
                best = Finding("shortcut", (), f"{value}: {more}, {less}", gap, {"property": name, "shares": rounded})
    return best


def _by_size(classes: Mapping[str, Sequence[Photo]]) -> Finding | None:
    """The class of the smallest images, if a network would see it blurred and another class sharp."""
    sides = {
        label: np.quantile([min(photo.facts.width_px, photo.facts.height_px) for photo in mine], [HARDLY, MOST])
        for label, mine in classes.items()
    }
    if not sides:
        return None
    smallest = min(sides, key=lambda label: float(sides[label][1]))
    limit = float(sides[smallest][1])
    larger = {label: float(low) for label, (low, _) in sides.items() if low >= _TIMES_SMALLER * limit}
    if not larger or limit >= min(SPEC.height_px, SPEC.width_px):
        return None
    least = min(larger.values())
    detail = (
        f"shorter side: at most {limit:.0f} px in {percent(MOST, 0)} of {smallest},"
        f" at least {least:.0f} px in {percent(MOST, 0)} of {_names(larger)}"
    )
    values = {
        "property": "size",
        "shorter_side_px": {label: [round(float(s)) for s in two] for label, two in sides.items()},
    }
    return Finding("shortcut", (), detail, 0.0, values)


def _names(labels: Mapping[str, float]) -> str:
    left = len(labels) - 3
    return ", ".join(list(labels)[:3]) + (f" and {left} more" if left > 0 else "")
