"""Time and disk space for arrays that are passed in Python, compared with PNG files that OpenCV compresses.

python benchmarks/given.py DATA
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import cv2
import numpy as np

from zoo.data.given import as_source, png
from zoo.image_spec import ImageSpec
from zoo.images import decode, resize

Encode = Callable[[np.ndarray], bytes]

COUNT = 1000
SPEC = ImageSpec(height_px=224, width_px=224, resize="crop")


def main() -> None:
    files = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    photos = [resize(decode(path.read_bytes()), SPEC) for path in files[:COUNT]]
    images = np.stack([photos[number % len(photos)] for number in range(COUNT)])
    labels = [f"class {number % 5}" for number in range(COUNT)]
    cv2.setNumThreads(1)
    print(f"{'way':<24}  {'s':>6}  {'CPU s':>6}  {'MB':>6}  of the arrays")
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"ZOO_CACHE_DIR": folder}):
        measure("as_source", images, lambda: as_source((images, labels)), Path(folder))
        measure("as_source, second time", images, lambda: as_source((images, labels)), Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        measure("stored alone", images, lambda: write(images, Path(folder), png.encode), Path(folder))
    for level in (1, 3, 6):
        with tempfile.TemporaryDirectory() as folder:
            into = Path(folder)
            measure(f"OpenCV, level {level}", images, partial(write, images, into, compressed(level)), into)


def compressed(level: int) -> Encode:
    options = [cv2.IMWRITE_PNG_COMPRESSION, level]
    return lambda image: cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()


def write(images: np.ndarray, folder: Path, encode: Encode) -> None:
    for number, image in enumerate(images):
        (folder / f"{number:06d}.png").write_bytes(encode(image))


def measure(name: str, images: np.ndarray, work: Callable[[], object], folder: Path) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    size = sum(path.stat().st_size for path in folder.rglob("*.png"))
    print(f"{name:<24}  {wall:6.2f}  {cpu:6.2f}  {size / 1e6:6.1f}  {size / images.nbytes:.3f}")


if __name__ == "__main__":
    main()
