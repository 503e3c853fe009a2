"""Finds near-duplicates.

These are files with the same bytes, the same pixels, or the same photograph in another size, crop or quality.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zoo.audit.alignment import VERSION, Canvas, similarity
from zoo.audit.fingerprints import WINDOWS, Fingerprints, Overlap, fingerprints, most_similar, overlaps
from zoo.audit.nearest import Pairs, Vectors, merged, nearest, pairs_above
from zoo.audit.photos import SPEC, Photo, Photos
from zoo.audit.records import Records
from zoo.data.arrays import CachedArrays
from zoo.data.ingest import DECODER, Progress
from zoo.images.ahead import ahead
from zoo.machine import core_count
from zoo.records import read_json

Kind = Literal["bytes", "pixels", "near"]

#: Minimum share of matching patches of near-duplicates. Chosen on one half of the photos of
#: benchmarks/near_duplicates.py: different photographs that are similar reach 0.65, and 98 of 100 copies reach 0.7.
NEAR_DUPLICATES_FROM = 0.66

#: Minimum side in pixels. Smaller images have too little detail to be distinguished.
SMALLEST_PX = 48

_KIND = f"similarity-{VERSION}-{DECODER}"
#: Its number is increased whenever the same images lead to other candidates.
_FOUND_KIND = f"near-duplicates-1-{NEAR_DUPLICATES_FROM}-{_KIND}"
_PART = 16  # images or pairs per task of a thread
_STORED = 4096  # pairs after which the results are stored
_WAYS, _LEAST_WAY = 3, 0.4  # number of overlaps that are tried, and their minimum correlation

# Candidates. For 7 versions of each of 1081 photos, the original was the nearest photo by the features of MobileNetV2
# in all cases but one. Four candidates leave room for series of similar pictures.
_NEAREST_BY_FEATURES, _LEAST_COSINE = 4, 0.65
_NEAREST_BY_PRINT, _LEAST_CORRELATION = 4, 0.5
_NEAREST_BESIDE_FEATURES, _LEAST_BESIDE_FEATURES = 2, 0.75

#: With more images and without features, cropped copies are not searched. With as many, their fingerprints take 0.6 GB,
#: and the search takes some minutes.
MOST_WITH_CROPS = 50_000

#: Returns a function that receives the progress of a stage, as ``Reporter.counter``.
Counter = Callable[[str], Progress]


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
    photos: Photos,
    features: Vectors | None,
    records: Records,
    counter: Counter = lambda text: lambda done, total: None,
    *,
    features_key: str = "",
) -> list[NearDuplicates]:
    """Finds all near-duplicates among the images. Of n exact copies, the n - 1 pairs with the first are returned.

    Without features, cropped copies are searched only if there are at most ``MOST_WITH_CROPS`` images.

    Args:
        photos: The images.
        features: Features of each image, normalised to length 1. ``None`` uses only fingerprints.
        records: Results for the same images, and pairs compared in earlier runs.
        counter: Receives the progress of each stage.
        features_key: Everything that determines the features, except the images.
    """
    exact, first_of = _exact(photos.photos)
    alone = [index for index in first_of.values() if _telling(photos.photos[index])]
    keys = [photos.photos[index].facts.pixels_sha256 for index in alone]
    windows = len(WINDOWS) if features is None and len(photos) <= MOST_WITH_CROPS else 1
    state = hashlib.sha256(f"{SPEC.digest} {features_key} {windows} {keys}".encode()).hexdigest()
    known = records.read(_FOUND_KIND, [state]).get(state)
    if known is None:
        pairs = _candidates(photos, features, alone, windows, counter)
        judged = judge(pairs, keys, photos.pixels, alone, records, counter("comparing"))
        found = [(*pair, str(said)) for pair, said in judged if said.similarity >= NEAR_DUPLICATES_FROM]
        records.write(_FOUND_KIND, {state: json.dumps(found)})
    else:
        found = read_json(known)
    near = [(alone[i], alone[j], Judgement.of_text(said)) for i, j, said in found]
    return exact + [NearDuplicates(i, j, "near", said.similarity, said.mirrored) for i, j, said in near]


def _candidates(
    photos: Photos, features: Vectors | None, chosen: Sequence[int], windows: int, counter: Counter
) -> Pairs:
    """Pairs of positions in ``chosen`` that may be near-duplicates."""
    prints = compute_fingerprints(photos.pixels, chosen, windows, counter("computing fingerprints"))
    places, search = range(len(chosen)), counter("searching candidates")
    if features is None:
        return most_similar(places, places, prints, _LEAST_CORRELATION, _NEAREST_BY_PRINT, windows, search)
    pairs = most_similar(places, places, prints, _LEAST_BESIDE_FEATURES, _NEAREST_BESIDE_FEATURES, windows, search)
    return merged(np.concatenate([pairs, _nearest(features, np.array(chosen, np.intp), search)]))


def compute_fingerprints(
    pixels: CachedArrays, chosen: Sequence[int], windows: int, progress: Progress | None = None
) -> Fingerprints:
    """Fingerprints of the first windows of the images with the indices ``chosen``, ``(len(chosen), windows, 144)``.

    Args:
        pixels: All images.
        chosen: Indices of images.
        windows: Number of windows, ``len(WINDOWS)`` at most. With 1, an image takes 576 bytes.
        progress: Called with images done and images to do.
    """

    def compute(some: Sequence[int]) -> list[Fingerprints]:
        return [fingerprints(image)[:windows] for image in pixels.read(some)]

    found = np.empty((len(chosen), windows, 144), np.float32)
    parts = [chosen[start : start + _PART] for start in range(0, len(chosen), _PART)]
    done = 0
    for part in ahead(compute, parts, min(4, core_count())):
        found[done : done + len(part)] = part
        done += len(part)
        if progress:
            progress(done, len(chosen))
    return found


def judge(
    pairs: Pairs,
    keys: Sequence[str],
    pixels: CachedArrays,
    indices: Sequence[int],
    records: Records,
    progress: Progress | None = None,
) -> Iterator[tuple[tuple[int, int], Judgement]]:
    """Each pair of images and its similarity. Pairs compared before are looked up.

    After an interruption, only the last few thousand pairs are compared again.

    Args:
        pairs: Positions in ``keys`` and ``indices``, ``(n, 2)``.
        keys: Key of each image in ``records``. The image with the smaller key is the first argument of
            ``similarity``, so that results do not depend on file names and order.
        pixels: All images.
        indices: Indices of the images to compare.
        records: Pairs compared before.
        progress: Called with pairs done and all pairs, while pairs are compared.
    """

    @lru_cache(maxsize=1000)
    def look(place: int) -> tuple[Canvas, Fingerprints]:
        image = pixels.read([indices[place]])[0]
        return Canvas.of(image), fingerprints(image)

    def compare(some: Sequence[tuple[int, int]]) -> list[Judgement]:
        found = []
        for first, second in some:
            (canvas, prints), (other, other_prints) = look(first), look(second)
            ways = overlaps(prints, other_prints)
            value, mirrored = similarity(canvas, other, _likeliest(ways))
            if mirrored and value >= NEAR_DUPLICATES_FROM:  # a symmetric picture may also match without mirroring
                plain, _ = similarity(canvas, other, _likeliest([way for way in ways if not way.mirror]))
                value, mirrored = max(value, plain), plain < NEAR_DUPLICATES_FROM
            found.append(Judgement(value, mirrored))
        return found

    for start in range(0, len(pairs), _STORED):
        some = [(first, second) for first, second in pairs[start : start + _STORED].tolist()]
        ordered = {(i, j): (i, j) if keys[i] <= keys[j] else (j, i) for i, j in some}
        names = {pair: f"{keys[first][:32]}-{keys[second][:32]}" for pair, (first, second) in ordered.items()}
        known = records.read(_KIND, names.values())
        todo = [pair for pair in some if names[pair] not in known]
        fresh: dict[str, str] = {}
        parts = [todo[first : first + _PART] for first in range(0, len(todo), _PART)]
        compared = ahead(compare, ([ordered[pair] for pair in part] for part in parts), min(4, core_count()))
        try:
            for part, values in zip(parts, compared, strict=True):
                fresh |= {names[pair]: str(value) for pair, value in zip(part, values, strict=True)}
                if progress:
                    progress(start + len(some) - len(todo) + len(fresh), len(pairs))
        finally:
            records.write(_KIND, fresh)
        known |= fresh
        yield from ((pair, Judgement.of_text(known[names[pair]])) for pair in some)


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


def _nearest(features: Vectors, chosen: NDArray[np.intp], progress: Progress) -> Pairs:
    """Pairs of positions in ``chosen`` whose features are near each other."""

    def cosines(some: slice, with_others: slice) -> NDArray[np.float32]:
        cosine: NDArray[np.float32] = features[chosen[some]] @ features[chosen[with_others]].T
        rows, columns = places[some], places[with_others]
        cosine[rows[:, None] == columns[None, :]] = -1
        return cosine

    places = np.arange(len(chosen))
    found = nearest(cosines, len(chosen), len(chosen), _NEAREST_BY_FEATURES, progress)
    return pairs_above(found, _LEAST_COSINE, places, places)


def members(group: NDArray[np.int64]) -> dict[int, list[int]]:
    """The images of each group that has more than one image."""
    found: dict[int, list[int]] = defaultdict(list)
    for index, name in enumerate(group.tolist()):
        found[name].append(index)
    return {name: indices for name, indices in found.items() if len(indices) > 1}
