"""The images that choose: all but the test images, with those that are near-duplicates of each other together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.audit.duplicates import TWINS_FROM, Twins, compute_fingerprints, groups, judge
from zoo.audit.fingerprints import likest
from zoo.audit.records import Records
from zoo.data import TEST, TRAIN, ImageData
from zoo.data.dataset import load_recorded
from zoo.data.ingest import Progress
from zoo.errors import DataError
from zoo.image_spec import ImageSpec

#: Images of fewer pixels are not compared: different ones look alike.
_LEAST_SIDE_PX = 64
#: Above as many, only equal files are taken for duplicates: a fingerprint takes 11 kB.
_MOST_COMPARED = 20_000
#: Candidates for near-duplicates of an image, as `zoo data check` has them without features.
_NEAREST, _LEAST_LIKENESS = 4, 0.5


@dataclass(frozen=True)
class Photos:
    """The training and validation images of a data set.

    Args:
        data: The images alone, all of them marked as training images.
        group: Images with the same number are near-duplicates of each other, ``(n,)``.
    """

    data: ImageData
    group: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.data.names)

    def as_seen(self, image: ImageSpec, progress: Progress | None = None) -> ImageData:
        """The same images by another image rule.

        Raises:
            DataError: Files are gone or have changed since.
        """
        return _choosing(self.data, image, progress)


def choosing_photos(data: ImageData, progress: Progress | None = None) -> Photos:
    """The images of ``data`` that may choose.

    Args:
        data: All splits.
        progress: Called with pairs of images compared and pairs to compare.

    Raises:
        DataError: A class has too few for cross-validation.
    """
    chosen = _choosing(data, data.spec)
    group = _groups(chosen, progress)
    _refuse_too_few(chosen, group)
    return Photos(chosen, group)


def _choosing(data: ImageData, image: ImageSpec, progress: Progress | None = None) -> ImageData:
    rows = [
        {"path": path, "label": label, "split": TRAIN, "sha256": sha256}
        for path, label, split, sha256 in data.rows()
        if split != TEST
    ]
    return load_recorded(rows, data.source, data.root, image, data.labels, progress=progress)


def _groups(data: ImageData, progress: Progress | None) -> NDArray[np.int64]:
    first = {content: index for index, content in reversed(list(enumerate(data.contents)))}
    twins = [
        Twins(first[content], index, "bytes", 1.0)
        for index, content in enumerate(data.contents)
        if first[content] != index
    ]
    alone = sorted(first.values())
    if min(data.spec.height_px, data.spec.width_px) >= _LEAST_SIDE_PX and len(alone) <= _MOST_COMPARED:
        prints = compute_fingerprints(data.pixels, alone)
        places = range(len(alone))
        pairs = likest(places, places, prints, _LEAST_LIKENESS, _NEAREST)
        keys = [f"{data.contents[index][:20]}{data.spec.digest}" for index in alone]
        with Records() as records:
            found = judge(sorted(pairs), keys, data.pixels, alone, prints, records, progress)
        twins += [
            Twins(alone[i], alone[j], "near", judged.sameness, judged.mirrored)
            for (i, j), judged in found.items()
            if judged.sameness >= TWINS_FROM
        ]
    return groups(len(data.names), twins)


def _refuse_too_few(data: ImageData, group: NDArray[np.int64]) -> None:
    different = Counter(label for label, _ in set(zip(data.classes.tolist(), group.tolist(), strict=True)))
    few = [label for index, label in enumerate(data.labels) if different[index] < 2]
    if few:
        named = ", ".join(repr(label) for label in few[:8])
        raise DataError(
            f"Too few images in class(es) {named}: cross-validation needs two different training images of each class,"
            " beside the test images.",
            "Add images: five of each class are the least, fifty are a beginning.",
        )
