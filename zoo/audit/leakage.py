"""The part of the check that is fast enough for every training run: test images with a near-duplicate in another split.

Candidates are chosen by fingerprints only, because no backbone has run yet. This takes half a second for 500 photos,
and pairs that were compared once are looked up the next time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.audit.alignment import VERSION
from zoo.audit.duplicates import NEAR_DUPLICATES_FROM, SMALLEST_PX, compute_fingerprints, judge
from zoo.audit.fingerprints import WINDOWS, most_similar
from zoo.audit.records import Records
from zoo.data import TEST, ImageData
from zoo.data.ingest import DECODER, Progress
from zoo.errors import DataError
from zoo.evaluation.predictions import Predictions
from zoo.image_spec import ImageSpec
from zoo.records import read_json

#: If the input of the network is smaller than this, images are not compared, because different ones look alike.
_LEAST_SIDE_PX = 64

_KIND = f"leaks-{VERSION}-{NEAR_DUPLICATES_FROM}-{DECODER}"

_LEAST_CORRELATION = 0.6
_CANDIDATES = 2

#: With more pairs of images, crops are not searched for, because comparing only whole images takes a twentieth of the
#: time.
_PAIRS_WITH_CROPS = 4_000_000
#: With more images, only equal files are searched for, so that the search takes a small part of the training time.
_IMAGES = 20_000


@dataclass(frozen=True)
class Leak:
    """An image, usually a test image, and its near-duplicate in another split.

    Args:
        name: Name of the image.
        near_duplicate: Name of the near-duplicate.
        split: Split of the near-duplicate.
        similarity: Their similarity, 0 to 1. It is 1 for equal files.
    """

    name: str
    near_duplicate: str
    split: str
    similarity: float


@dataclass(frozen=True)
class Leakage:
    """The leaks that were found, and the limits of the search.

    Args:
        leaks: Test images that have a near-duplicate in another split.
        unsearched: A sentence on what was not compared, and why. ``None`` if everything was compared.
    """

    leaks: list[Leak]
    unsearched: str | None


def find_leaks(data: ImageData, progress: Progress | None = None) -> Leakage:
    """Finds test images that are also in another split: equal files, and near-duplicates if there are not too many
    images to compare.

    Args:
        data: All splits.
        progress: Called with images done and images to do, and then with pairs done and pairs to do.
    """
    tests = data.indices(TEST).tolist()
    others = [index for index in range(len(data.names)) if data.splits[index] != TEST]
    return find_copies(data, tests, others, progress, checkable=True)


def find_copies(
    data: ImageData,
    searched: Sequence[int],
    others: Sequence[int],
    progress: Progress | None = None,
    *,
    of: str = "test images",
    checkable: bool = False,
) -> Leakage:
    """Finds copies of images among others: equal files, and near-duplicates if there are not too many images to
    compare.

    Args:
        data: Contains all images.
        searched: The images whose copies are searched for.
        others: The images among which copies are searched. Mirrored copies count if the labels are equal, or if one of
            the two has no label.
        progress: Called with images done and images to do, and then with pairs done and pairs to do.
        of: Name of the images in ``searched``, for the sentence on what was not compared.
        checkable: Whether `zoo data check` can compare the same images, so that the sentence can recommend it.
    """
    leaks = _equal(data, searched, others)
    rest = [index for index in searched if index not in leaks]
    unsearched = None
    if rest and others:
        compares, unsearched = _reach(data.spec, len(rest), len(others), of, checkable)
        if compares:
            try:
                with Records() as records:
                    leaks |= _known(data, rest, others, records, progress)
            except DataError as error:  # equal files are still found
                unsearched = f"Near-duplicates of {of} were not searched: {error.message}"
    return Leakage([leaks[index] for index in sorted(leaks)], unsearched)


def find_copies_in_parts(
    data: ImageData,
    searched: Sequence[int],
    others: Sequence[int],
    progress: Progress | None = None,
    *,
    of: str = "test images",
) -> Leakage:
    """Like ``find_copies`` for any number of images and few others. The images are processed in parts."""
    some = max(1, min(_IMAGES // 2, _PAIRS_WITH_CROPS // max(1, len(others))))
    parts = [
        find_copies(data, searched[start : start + some], others, progress, of=of)
        for start in range(0, len(searched), some)
    ]
    unsearched = next((part.unsearched for part in parts if part.unsearched), None)
    return Leakage([leak for part in parts for leak in part.leaks], unsearched)


def _reach(spec: ImageSpec, tests: int, others: int, of: str, checkable: bool) -> tuple[bool, str | None]:
    """Whether images are compared, and a sentence on what is not compared."""
    side = min(spec.height_px, spec.width_px)
    looks = ". `zoo data check` compares them" if checkable else ""
    if side < _LEAST_SIDE_PX:
        remedy = (
            f"`zoo data check` compares the files if they have at least {SMALLEST_PX} px"
            if checkable
            else f"use --size {_LEAST_SIDE_PX} or more"
        )
        why = f"at {side} px, different images look alike; {remedy}."
        return False, f"Near-duplicates of {of} were not searched: {why}"
    if tests + others > _IMAGES:
        why = f"there are {tests + others} images, more than {_IMAGES}{looks}."
        return False, f"Near-duplicates of {of} were not searched: {why}"
    if tests * others > _PAIRS_WITH_CROPS:
        why = f"there are {tests * others} pairs, more than {_PAIRS_WITH_CROPS}{looks}."
        return True, f"Cropped copies of {of} were not searched: {why}"
    return True, None


def accuracy_without(predictions: Predictions, leaks: Sequence[Leak]) -> tuple[float, int] | None:
    """Accuracy on the test images without a near-duplicate, 0 to 1, and their number. ``None`` if there are none."""
    leaked = {leak.name for leak in leaks}
    kept = np.array([file not in leaked for file in predictions.files], np.bool_)
    return (float(predictions.correct[kept].mean()), int(kept.sum())) if kept.any() else None


def _known(
    data: ImageData, tests: Sequence[int], others: Sequence[int], records: Records, progress: Progress | None
) -> dict[int, Leak]:
    """The result of ``_near``, or the stored result if the same contents were compared before."""
    seen = [[(data.contents[index], _label(data, index)) for index in some] for some in (tests, others)]
    state = f"{data.spec.digest} {seen}"
    key = hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()
    known = records.read(_KIND, [key]).get(key)
    if known is None:
        found = _near(data, tests, others, records, progress)
        records.write(_KIND, {key: json.dumps([(tests.index(t), others.index(o), s) for t, (o, s) in found.items()])})
    else:
        found = {tests[test]: (others[other], similarity) for test, other, similarity in read_json(known)}
    return {test: _leak(data, test, near_duplicate, similarity) for test, (near_duplicate, similarity) in found.items()}


def _equal(data: ImageData, tests: Sequence[int], others: Sequence[int]) -> dict[int, Leak]:
    first = {data.contents[index]: index for index in reversed(others)}
    pairs = [(index, first[data.contents[index]]) for index in tests if data.contents[index] in first]
    return {index: _leak(data, index, near_duplicate, 1.0) for index, near_duplicate in pairs}


def _near(
    data: ImageData, tests: Sequence[int], others: Sequence[int], records: Records, progress: Progress | None
) -> dict[int, tuple[int, float]]:
    """For each test image, its near-duplicate among the others and their similarity."""
    chosen = [*tests, *others]
    windows = len(WINDOWS) if len(tests) * len(others) <= _PAIRS_WITH_CROPS else 1
    prints = compute_fingerprints(data.pixels, chosen, windows, progress)
    places = np.arange(len(chosen)).tolist()
    pairs = most_similar(places[: len(tests)], places[len(tests) :], prints, _LEAST_CORRELATION, _CANDIDATES, windows)
    keys = [f"{data.contents[index][:20]}{data.spec.digest}" for index in chosen]
    best: dict[int, tuple[int, float]] = {}
    for (test, other), found in judge(pairs, keys, data.pixels, chosen, records, progress):
        index, near_duplicate = chosen[test], chosen[other]
        if found.similarity < NEAR_DUPLICATES_FROM or (index in best and found.similarity <= best[index][1]):
            continue
        # The mirror image of an arrow to the left is an arrow to the right, so it does not reveal the label.
        labels = {_label(data, index), _label(data, near_duplicate)} - {None}
        if not found.mirrored or len(labels) < 2:
            best[index] = (near_duplicate, found.similarity)
    return best


def _label(data: ImageData, index: int) -> str | None:
    number = int(data.classes[index])
    return None if number < 0 else data.labels[number]


def _leak(data: ImageData, index: int, near_duplicate: int, similarity: float) -> Leak:
    return Leak(data.names[index], data.names[near_duplicate], data.splits[near_duplicate], round(similarity, 3))
