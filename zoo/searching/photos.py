"""The images that choose: all but the test images."""

from __future__ import annotations

from collections import defaultdict

from zoo.data import TEST, TRAIN, ImageData
from zoo.data.dataset import load_recorded
from zoo.errors import DataError, quoted


def choosing_photos(data: ImageData) -> ImageData:
    """The images of ``data`` that may choose, all of them marked as training images.

    Raises:
        DataError: A class has too few for cross-validation.
    """
    rows = [(*row[:2], TRAIN, row[3]) for row in data.rows() if row[2] != TEST]
    different: dict[str, set[str]] = defaultdict(set)
    for _, label, _, sha256 in rows:
        different[label].add(sha256)
    few = [label for label in data.labels if len(different[label]) < 2]
    if few:
        raise DataError(
            f"Too few images in class(es) {quoted(few)}: cross-validation needs two different training images of each"
            " class, beside the test images.",
            "Add images: five of each class are the least, fifty are a beginning.",
        )
    named = [dict(zip(("path", "label", "split", "sha256"), row, strict=True)) for row in rows]
    return load_recorded(named, data.source, data.root, data.spec, data.labels)
