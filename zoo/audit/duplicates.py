"""Finds near-duplicates.

These are files with the same bytes, the same pixels, or the same photograph in another size, crop or quality.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.audit.alignment import VERSION, Canvas, similarity
from zoo.audit.fingerprints import WINDOWS, Fingerprints, Overlap, fingerprints, likest, overlaps
from zoo.audit.photos import Photo, Photos
from zoo.audit.records import Records
from zoo.data.arrays import CachedArrays
from zoo.data.ingest import DECODER, Progress
from zoo.images.ahead import ahead
from zoo.machine import core_count

Kind = Literal["bytes", "pixels", "near"]

#: Minimum share of matching patches of near-duplicates. Chosen on one half of the photos of
#: benchmarks/near_duplicates.py: different photographs that are similar reach 0.65, and 98 of 100 copies reach 0.7.
NEAR_DUPLICATES_FROM = 0.66

#: Minimum side in pixels. Smaller images have too little detail to be distinguished.
SMALLEST_PX = 48

_KIND = f"similarity-{VERSION}-{DECODER}"
_PART = 16  # pairs per task of a thread
_WAYS, _LEAST_WAY = 3, 0.4  # number of overlaps that are tried, and their minimum correlation

# Candidates. For 7 versions of each of 1081 photos, the original was the nearest photo by the features of MobileNetV2
# in all cases but one. Four candidates leave room for series of similar pictures.
_NEAREST_BY_FEATURES, _LEAST_COSINE = 4, 0.65
_NEAREST_BY_PRINT, _LEAST_CORRELATION = 4, 0.5
_NEAREST_BESIDE_FEATURES, _LEAST_BESIDE_FEATURES = 2, 0.75


@dataclass(frozen=True)
class NearDuplicates:
    """A pair of near-duplicates.

    Args:
        first, second: Indices of the images.
        kind: What is equal: ``bytes`` of the file, ``pixels``, or ``near`` for the same photograph.
        similarity: Share of the comparable patches that match, 0 to 1.
        mirrored: Whether they match only when one of them is mirrored.
    """

    first: int
    second: int
    kind: Kind
    similarity: float
    mirrored: bool = False


@dataclass(frozen=True)
class Judgement:
    """The similarity of two images, 0 to 1, and whether one of them had to be mirrored."""

    similarity: float
    mirrored: bool

    @classmethod
    def of_text(cls, text: str) -> Judgement:
        value, _, mirrored = text.partition(" ")
        return cls(float(value), bool(mirrored))

    def __str__(self) -> str:
        return f"{self.similarity:.4f}{' mirrored' if self.mirrored else ''}"


def find_near_duplicates(
    photos: Photos, features: NDArray[np.float32] | None, records: Records, progress: Progress | None = None
) -> list[NearDuplicates]:
    """Finds all near-duplicates among the images. Of n exact copies, the n - 1 pairs with the first are returned.

    Args:
        photos: The images.
        features: Features of each image, normalised to length 1. ``None`` uses only fingerprints.
        records: Pairs compared in earlier runs.
        progress: Called with pairs compared and pairs to compare.
    """
    exact, first_of = _exact(photos.photos)
    alone = [index for index in first_of.values() if _telling(photos.photos[index])]
    prints = compute_fingerprints(photos.pixels, alone)
    if not alone:
        return exact
    if features is None:
        places = likest(range(len(alone)), range(len(alone)), prints, _LEAST_CORRELATION, _NEAREST_BY_PRINT)
    else:
        places = _nearest(features[alone])
        places |= likest(
            range(len(alone)), range(len(alone)), prints, _LEAST_BESIDE_FEATURES, _NEAREST_BESIDE_FEATURES, windows=1
        )
    keys = [photos.photos[index].facts.pixels_sha256 for index in alone]
    found = judge(sorted(places), keys, photos.pixels, alone, prints, records, progress)
    near = [
        NearDuplicates(alone[i], alone[j], "near", judged.similarity, judged.mirrored)
        for (i, j), judged in found.items()
        if judged.similarity >= NEAR_DUPLICATES_FROM
    ]
    return exact + near


def compute_fingerprints(pixels: CachedArrays, chosen: Sequence[int]) -> Fingerprints:
    """Fingerprints of the images with the indices ``chosen``, ``(len(chosen), len(WINDOWS), 144)``."""
    found = np.empty((len(chosen), len(WINDOWS), 144), np.float32)
    for row, index in enumerate(chosen):
        found[row] = fingerprints(pixels.read([index])[0])
    return found


def judge(
    pairs: Sequence[tuple[int, int]],
    keys: Sequence[str],
    pixels: CachedArrays,
    indices: Sequence[int],
    prints: Fingerprints,
    records: Records,
    progress: Progress | None = None,
) -> dict[tuple[int, int], Judgement]:
    """The similarity of each pair of images. Pairs compared before are looked up.

    Args:
        pairs: Positions in ``keys``, ``indices`` and ``prints``.
        keys: Key of each image in ``records``. The image with the smaller key is the first argument of
            ``similarity``, so that results do not depend on file names and order.
        pixels: All images.
        indices: Indices of the images to compare.
        prints: Their fingerprints.
        records: Pairs compared before.
        progress: Called with pairs done and pairs to do.
    """
    ordered = {(i, j): (i, j) if keys[i] <= keys[j] else (j, i) for i, j in pairs}
    names = {pair: f"{keys[first][:32]}-{keys[second][:32]}" for pair, (first, second) in ordered.items()}
    known = records.read(_KIND, names.values())
    todo = [pair for pair in pairs if names[pair] not in known]

    @lru_cache(maxsize=1000)
    def canvas(place: int) -> Canvas:
        return Canvas.of(pixels.read([indices[place]])[0])

    def compare(some: Sequence[tuple[int, int]]) -> list[Judgement]:
        found = []
        for first, second in (ordered[pair] for pair in some):
            ways = overlaps(prints[first], prints[second])
            value, mirrored = similarity(canvas(first), canvas(second), _likeliest(ways))
            if mirrored and value >= NEAR_DUPLICATES_FROM:  # a symmetric picture may also match without mirroring
                plain, _ = similarity(
                    canvas(first), canvas(second), _likeliest([way for way in ways if not way.mirror])
                )
                value, mirrored = max(value, plain), plain < NEAR_DUPLICATES_FROM
            found.append(Judgement(value, mirrored))
        return found

    fresh: dict[str, str] = {}
    parts = [todo[start : start + _PART] for start in range(0, len(todo), _PART)]
    for part, values in zip(parts, ahead(compare, parts, min(4, core_count())), strict=True):
        fresh |= {names[pair]: str(value) for pair, value in zip(part, values, strict=True)}
        if progress:
            progress(len(fresh), len(todo))
    records.write(_KIND, fresh)
    known |= fresh
    return {pair: Judgement.of_text(known[names[pair]]) for pair in pairs}


def _likeliest(ways: Sequence[Overlap]) -> list[Overlap]:
    return [way for way in ways[:_WAYS] if way.correlation >= _LEAST_WAY]


def groups(count: int, near_duplicates: Iterable[NearDuplicates]) -> NDArray[np.int64]:
    """The group of each of ``count`` images: the index of the first image among those connected by near-duplicates."""
    above = list(range(count))

    def top(index: int) -> int:
        while above[index] != index:
            above[index] = above[above[index]]
            index = above[index]
        return index

    for pair in near_duplicates:
        low, high = sorted((top(pair.first), top(pair.second)))
        above[high] = low
    return np.array([top(index) for index in range(count)], np.int64)


def unmirrored_groups(count: int, near_duplicates: Iterable[NearDuplicates]) -> NDArray[np.int64]:
    """Like ``groups``, but mirrored pairs are ignored: an arrow and its mirror image are in different groups."""
    doubled = []  # 2 * index: the picture; 2 * index + 1: its mirror image
    for pair in near_duplicates:
        for side in (0, 1):
            other = 1 - side if pair.mirrored else side
            doubled.append(replace(pair, first=2 * pair.first + side, second=2 * pair.second + other))
    return groups(2 * count, doubled)[::2]


def _exact(photos: Sequence[Photo]) -> tuple[list[NearDuplicates], Mapping[str, int]]:
    """Pairs with equal bytes or equal pixels, and the first image of each pixel content."""
    near_duplicates: list[NearDuplicates] = []
    by_bytes: dict[str, int] = {}
    by_pixels: dict[str, int] = {}
    for index, photo in enumerate(photos):
        if photo.sha256 in by_bytes:
            near_duplicates.append(NearDuplicates(by_bytes[photo.sha256], index, "bytes", 1.0))
        elif photo.facts.pixels_sha256 in by_pixels:
            near_duplicates.append(NearDuplicates(by_pixels[photo.facts.pixels_sha256], index, "pixels", 1.0))
        by_bytes.setdefault(photo.sha256, index)
        by_pixels.setdefault(photo.facts.pixels_sha256, index)
    return near_duplicates, by_pixels


def _telling(photo: Photo) -> bool:
    return not photo.facts.blank and min(photo.facts.width_px, photo.facts.height_px) >= SMALLEST_PX


def _nearest(features: NDArray[np.float32]) -> set[tuple[int, int]]:
    pairs: set[tuple[int, int]] = set()
    for start in range(0, len(features), 256):
        cosine = features[start : start + 256] @ features.T
        cosine[np.arange(len(cosine)), np.arange(start, start + len(cosine))] = -1
        most = min(_NEAREST_BY_FEATURES, len(features) - 1)
        for row, columns in enumerate(np.argpartition(-cosine, most, axis=1)[:, :most] if most else ()):
            for column in columns:
                if cosine[row, column] >= _LEAST_COSINE:
                    pairs.add((min(start + row, int(column)), max(start + row, int(column))))
    return pairs


def members(group: NDArray[np.int64]) -> dict[int, list[int]]:
    """The images of each group that has more than one image."""
    found: dict[int, list[int]] = defaultdict(list)
    for index, name in enumerate(group.tolist()):
        found[name].append(index)
    return {name: indices for name, indices in found.items() if len(indices) > 1}
