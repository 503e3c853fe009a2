"""Recall and precision of `zoo data check` for near-duplicates.

    python benchmarks/near_duplicates.py shared/data/rugby_soccer shared/data/ccby_coarse

Every photo is in train/, and a copy with one change or with all changes is in test/. Recall is the share of copies
whose photo is found, and precision the share of reported pairs that are copies. The thresholds were chosen on half of
the photos, selected by a hash of their content (``--half tuning``). The figures are for the other half, without its
first 160 photos (``--skip``), which had been used when the last threshold was chosen.

The changes are: resizing to 0.4 to 1.5 times the size, a third of the copies stretched by up to 10 %; JPEG compression
with quality 40 to 95; cropping of one side or of each side by 5 to 10 %; mirroring; 10 to 20 % darker or brighter; and
drawing a line of text, a square of a fifth of the shorter side or a bar of a tenth of the height.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.figures import percent

Image = NDArray[np.uint8]
Change = Callable[[Image, np.random.Generator], Image]


def resized(image: Image, random: np.random.Generator) -> Image:
    factor = max(random.uniform(0.4, 1.5), 64 / min(image.shape[:2]))
    wider = factor * random.uniform(0.9, 1.1) if random.random() < 0.33 else factor
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, None, fx=wider, fy=factor, interpolation=how)


def recompressed(image: Image, random: np.random.Generator) -> Image:
    quality = int(random.integers(40, 96))
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def cropped(image: Image, random: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    if random.random() < 0.5:
        down, across = random.uniform(0.05, 0.10, 2)
        top, left = random.uniform(0, down), random.uniform(0, across)
        bottom, right = down - top, across - left
    else:
        top, bottom, left, right = random.uniform(0.05, 0.10, 4)
    return image[int(top * height) : int((1 - bottom) * height), int(left * width) : int((1 - right) * width)].copy()


def mirrored(image: Image, random: np.random.Generator) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def relit(image: Image, random: np.random.Generator) -> Image:
    factor = 1 + random.choice([-1, 1]) * random.uniform(0.1, 0.2)
    return np.clip(image.astype(np.float32) * factor, 0, 255).astype(np.uint8)


def drawn_on(image: Image, random: np.random.Generator) -> Image:
    image = image.copy()
    height, width = image.shape[:2]
    side = min(height, width)
    colour = [int(value) for value in random.integers(0, 255, 3)]
    what = random.integers(3)
    if what == 0:
        place = (int(0.05 * width), int(random.uniform(0.2, 0.95) * height))
        cv2.putText(image, "photo 2026", place, cv2.FONT_HERSHEY_SIMPLEX, side / 300, colour, max(1, side // 150))
    elif what == 1:
        edge = side // 5
        top, left = int(random.uniform(0, height - edge)), int(random.uniform(0, width - edge))
        image[top : top + edge, left : left + edge] = colour
    else:
        image[-height // 10 :] = colour
    return image


def all_at_once(image: Image, random: np.random.Generator) -> Image:
    for change in (cropped, mirrored, relit, drawn_on, resized, recompressed):
        if change is not mirrored or random.random() < 0.5:
            image = change(image, random)
    return image


CHANGES: dict[str, Change] = {
    "resized": resized,
    "recompressed": recompressed,
    "cropped": cropped,
    "mirrored": mirrored,
    "relit": relit,
    "drawn on": drawn_on,
    "all at once": all_at_once,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="+", help="Folders with class folders of photos, at any depth.")
    parser.add_argument("--half", choices=["tuning", "reported"], default="reported")
    parser.add_argument("--skip", type=int, default=160, help="Photos to leave out at the beginning of the half.")
    parser.add_argument("--photos", type=int, help="Maximum number of photos of the half.")
    parser.add_argument("--changes", nargs="+", choices=CHANGES, default=list(CHANGES))
    parser.add_argument("--without-backbone", action="store_true", help="Use only fingerprints, as `zoo train` does.")
    parser.add_argument("--show", action="store_true", help="List missed copies, and pairs that are not copies.")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    photos = [path for folder in arguments.data for path in sorted(folder.rglob("*.jpg"))]
    photos = [path for path in photos if _half(path) == arguments.half][arguments.skip :][: arguments.photos]
    print(f"{len(photos)} photos, {arguments.half} half")
    print(f"{'change':<14}{'copies':>8}{'found':>8}{'recall':>9}{'others':>8}{'precision':>11}{'seconds':>9}")
    found = copies = wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_CACHE_DIR"] = str(Path(folder) / "cache")
        for name in arguments.changes:
            start = time.perf_counter()
            here = _measure(name, photos, Path(folder) / name.replace(" ", "_"), arguments)
            copies, found, wrong = copies + here[0], found + here[1], wrong + here[2]
            _print(name, *here, time.perf_counter() - start)
    _print("all", copies, found, wrong, 0.0)


def _half(path: Path) -> str:
    return "tuning" if hashlib.sha256(path.read_bytes()).digest()[0] % 2 else "reported"


def _measure(name: str, photos: list[Path], root: Path, arguments: argparse.Namespace) -> tuple[int, int, int]:
    """Number of copies, of copies found, and of wrongly reported pairs."""
    from zoo.audit.audit import audit
    from zoo.audit.duplicates import find_near_duplicates
    from zoo.audit.photos import read_photos
    from zoo.audit.records import Records
    from zoo.backend import start_keras
    from zoo.images import decode

    for number, path in enumerate(photos):
        original = root / "train" / path.parent.name / f"{number}.jpg"
        original.parent.mkdir(parents=True, exist_ok=True)
        original.write_bytes(path.read_bytes())
        image = decode(path.read_bytes())[:, :, ::-1]
        changed = CHANGES[name](np.ascontiguousarray(image), np.random.default_rng([number, len(name)]))
        copy = root / "test" / path.parent.name / f"{number}.jpg"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    if arguments.without_backbone:
        with Records() as records:
            read = read_photos(str(root), records)
            near_duplicates = find_near_duplicates(read, None, records)
    else:
        result = audit(str(root), start_backend=start_keras)
        read, near_duplicates = result.photos, list(result.near_duplicates)
    number_of = [int(Path(photo.name).stem) for photo in read.photos]
    right = {number_of[pair.first] for pair in near_duplicates if number_of[pair.first] == number_of[pair.second]}
    others = {
        tuple(sorted((number_of[pair.first], number_of[pair.second])))
        for pair in near_duplicates
        if number_of[pair.first] != number_of[pair.second]
    }
    if arguments.show:
        for missed in sorted(set(range(len(photos))) - right):
            print(f"  missed {photos[missed]}")
        for first, second in sorted(others):
            print(f"  other  {photos[first]} and {photos[second]}")
    return len(photos), len(right), len(others)


def _print(name: str, copies: int, found: int, wrong: int, seconds: float) -> None:
    precision = found / max(found + wrong, 1)
    print(
        f"{name:<14}{copies:>8}{found:>8}{percent(found / copies):>9}{wrong:>8}{percent(precision):>11}{seconds:>9.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
