"""What near-duplicates mean: a leak, a contradiction, a duplicate, or a difference that the labels describe.

The search for near-duplicates ignores typical changes of copies: another size, a crop, other lighting, mirroring. The
labels may describe exactly such a change. Mirror images under different labels are therefore only a note (left and
right). Edited copies are only a warning if most of a class has one under the other label (sharp and blurred, with a
watermark).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from zoo.audit.duplicates import NearDuplicates, members
from zoo.audit.findings import Finding
from zoo.audit.photos import Photos

#: If this share of the photos of a class, and at least this number, have an altered copy under another label, the two
#: labels seem to describe the alteration.
_MOST_OF_A_CLASS, _FEWEST = 0.5, 10


def known_as(photos: Photos, group: NDArray[np.int64], unmirrored: NDArray[np.int64]) -> list[set[tuple[str, object]]]:
    """For each photo, two keys. A model that was trained on a photo knows all photos that share one of its keys: its
    near-duplicates, and the mirrored ones under the same label."""
    return [
        {("unmirrored", int(same)), (photo.label, int(mirrored))}
        for photo, same, mirrored in zip(photos.photos, unmirrored, group, strict=True)
    ]


def near_duplicate_findings(
    photos: Photos, near_duplicates: Sequence[NearDuplicates], group: NDArray[np.int64], unmirrored: NDArray[np.int64]
) -> list[Finding]:
    """One finding per group of near-duplicates, or two if it is a leak and also has several labels.

    Args:
        photos: The dataset.
        near_duplicates: Pairs of near-duplicates.
        group: The group of each photo.
        unmirrored: Like ``group``, but a photo and its mirror image are in different groups.
    """
    least: dict[int, float] = {}
    kinds: dict[int, set[str]] = {}
    for pair in near_duplicates:
        name = int(group[pair.first])
        least[name] = min(least.get(name, 1.0), pair.similarity)
        kinds.setdefault(name, set()).add(pair.kind)
    known = known_as(photos, group, unmirrored)
    about_alteration = _labels_about_alteration(photos, near_duplicates)
    found = []
    for name, indices in members(group).items():
        shown = [photos.photos[index] for index in indices]
        what = "the same bytes" if kinds[name] == {"bytes"} else "the same pixels"
        what = "the same photo" if "near" in kinds[name] else what
        labels = {photo.label for photo in shown}
        files = tuple(photo.name for photo in shown)
        values = {
            "how": sorted(kinds[name]),
            "labels": [photo.label for photo in shown],
            "splits": [photo.split for photo in shown],
        }
        leak = _leaks(photos, indices, known)
        if leak:
            where = " and ".join(sorted(leak))
            found.append(Finding("leak", files, f"{what} in {where}", least[name], values))
        if len(labels) > 1:
            where = " and ".join(sorted(labels))
            mixed = {some for some in _label_sets(photos, indices, unmirrored) if len(some) > 1}
            if not mixed:
                found.append(Finding("mirrored", files, f"mirror images under {where}", least[name], values))
            elif kinds[name] == {"near"} and mixed <= about_alteration:
                found.append(Finding("altered", files, f"{what}, edited, under {where}", least[name], values))
            else:
                found.append(Finding("contradiction", files, f"{what} under {where}", least[name], values))
        elif not leak:
            found.append(Finding("duplicate", files, f"{what}, {len(files)} times", least[name], values))
    return found


def _leaks(photos: Photos, indices: Iterable[int], known: Sequence[set[tuple[str, object]]]) -> set[str]:
    """The splits between which a group leaks. Photos without a split are ignored, because they are not assigned yet."""
    splits: dict[tuple[str, object], set[str]] = {}
    for index in indices:
        split = photos.photos[index].split
        for name in known[index] if split else ():
            splits.setdefault(name, set()).add(str(split))
    return set().union(*(some for some in splits.values() if len(some) > 1))


def _label_sets(photos: Photos, indices: Iterable[int], unmirrored: NDArray[np.int64]) -> list[frozenset[str]]:
    """The labels of a group, with a photo and its mirror image kept apart."""
    labels: dict[int, set[str]] = {}
    for index in indices:
        labels.setdefault(int(unmirrored[index]), set()).add(photos.photos[index].label)
    return [frozenset(some) for some in labels.values()]


def _labels_about_alteration(photos: Photos, near_duplicates: Iterable[NearDuplicates]) -> set[frozenset[str]]:
    """Pairs of labels for which most photos of one have an edited copy under the other."""
    copied: dict[frozenset[str], set[int]] = {}
    for pair in near_duplicates:
        labels = frozenset(photos.photos[index].label for index in (pair.first, pair.second))
        if len(labels) == 2 and pair.kind == "near" and not pair.mirrored:
            copied.setdefault(labels, set()).update((pair.first, pair.second))
    total = Counter(photo.label for photo in photos.photos)
    found = set()
    for labels, indices in copied.items():
        counts = Counter(photos.photos[index].label for index in indices)
        if any(counts[label] >= max(_FEWEST, _MOST_OF_A_CLASS * total[label]) for label in labels):
            found.add(labels)
    return found
