"""Findings on single files: unusable, misnamed, rotated, transparent, more than 8 bits, elongated, tiny or blank."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from zoo.audit.findings import Finding
from zoo.audit.photos import Photo, Photos
from zoo.images.signatures import SUFFIXES, is_something_else

#: Images with a shorter side below this are tiny: at 224 px, they consist mostly of interpolated pixels.
TINY_BELOW_PX = 64

#: Aspect ratio above which a picture is squashed beyond recognition.
EXTREME_RATIO = 4.0

#: Number of photos of a class below which little can be learnt or measured.
FEW_BELOW = 20


def file_findings(photos: Photos) -> list[Finding]:
    """Findings on single files and on the number of images of each class."""
    found = [
        Finding("other" if is_something_else(item.name, item.reason) else "unreadable", (item.name,), item.reason)
        for item in photos.skipped
    ]
    found += _too_little(photos)
    # In a dataset of small pictures, such as icons or digits, this is not a problem.
    small = sum(_shorter(photo) < TINY_BELOW_PX for photo in photos.photos) > len(photos) / 2
    for photo in photos.photos:
        found += (
            Finding(kind, (photo.name,), detail, score)
            for kind, detail, score in _of_photo(photo)
            if not (small and kind == "tiny")
        )
    return found


def _too_little(photos: Photos) -> Iterator[Finding]:
    counts = Counter(photo.label for photo in photos.photos)
    if len(photos.labels) < 2:
        yield Finding("unusable", (), f"one class only, {photos.labels[0]}; a classifier needs two or more")
    for label in photos.labels:
        if not counts[label]:
            yield Finding("unusable", (), f"no usable picture in class {label}")
        elif counts[label] < FEW_BELOW:
            pictures = "1 picture" if counts[label] == 1 else f"{counts[label]} pictures"
            yield Finding("few", (), f"{pictures} in class {label}", -counts[label])
    # Pictures without a split will be split, and some of each class will be used for training.
    trained = Counter(photos.counts.get("", {})) + Counter(photos.counts.get("train", {}))
    for label in photos.labels:
        if counts[label] and not trained[label]:
            yield Finding("unusable", (), f"no training picture in class {label}")


def _of_photo(photo: Photo) -> Iterator[tuple[str, str, float]]:
    facts = photo.facts
    size = f"{facts.width_px} x {facts.height_px} px"
    extension = PurePosixPath(photo.name).suffix.lower()
    said = SUFFIXES.get(extension)
    if facts.blank:
        yield "blank", f"one colour all over, {size}", 0.0
    if said != facts.format:
        yield "misnamed", f"{facts.format} named {extension}" if extension else f"{facts.format} without extension", 0.0
    if facts.orientation != 1:
        yield "rotated", f"EXIF orientation {facts.orientation}", 0.0
    if facts.alpha:
        yield "alpha", f"{facts.format} with transparency", 0.0
    if facts.remark:
        yield "remark", facts.remark, 0.0
    if facts.bits > 8:
        yield "deep", f"{facts.format} of {facts.bits} bits", 0.0
    ratio = max(facts.width_px, facts.height_px) / _shorter(photo)
    if ratio >= EXTREME_RATIO:
        yield "shape", f"{size}, {ratio:.1f} to 1", ratio
    if _shorter(photo) < TINY_BELOW_PX:
        yield "tiny", size, -float(_shorter(photo))


def _shorter(photo: Photo) -> int:
    return min(photo.facts.width_px, photo.facts.height_px)
