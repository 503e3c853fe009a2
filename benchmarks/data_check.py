"""Time and peak memory of `zoo data check` on many photos, for the first and the second run.

    python benchmarks/data_check.py shared/data/rugby_soccer

Photos are repeated until there are ``--count``. Each copy is changed in its crop, size, rotation, colour and quality,
by more than in benchmarks/near_duplicates.py, so that most are not near-duplicates of each other and all are compared.
Every measurement is a new process, first with an empty and then with a full cache.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

COMMAND = """
import resource, sys
from zoo.cli.main import main
sys.argv = ["zoo", "data", "check", sys.argv[1], "--fail-on", "never"]
try:
    main()
finally:
    print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="Photos, at any depth below class folders.")
    parser.add_argument("--count", type=int, default=5000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photos = repeat(arguments.data, Path(folder) / "photos", arguments.count)
        environment = {**os.environ, "ZOO_CACHE_DIR": str(Path(folder) / "cache")}
        for what in ("first", "second"):
            start = time.perf_counter()
            command = [sys.executable, "-c", COMMAND, str(photos)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            peak = done.stdout.rsplit("PEAK", 1)[1].strip()
            print(f"{what} run: {time.perf_counter() - start:.1f} s, peak {peak} MB", flush=True)
            if what == "first":
                print("\n".join(f"    {line}" for line in done.stdout.splitlines()[:12]))


def repeat(source: Path, target: Path, count: int) -> Path:
    files = sorted(source.rglob("*.jpg"))
    old = time.time() - 3600  # files that were changed within the last seconds would be read again
    for number in range(count):
        path = files[number % len(files)]
        turn, random = number // len(files), np.random.default_rng(number)
        data = path.read_bytes()
        if turn:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            data = cv2.imencode(".jpg", _another(image, random))[1].tobytes()
        copy = target / path.parent.name / f"{number}.jpg"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(data)
        os.utime(copy, (old, old))
    return target


def _another(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A view of a third to two thirds of each side, rotated and tinted, resized to the original size."""
    height, width = image.shape[:2]
    share = random.uniform(0.35, 0.65)
    tilt = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-40, 40), 1 / share)
    tilt[:, 2] += random.uniform(-0.2, 0.2, 2) * (width, height)
    tilted = cv2.warpAffine(image, tilt, (width, height), borderMode=cv2.BORDER_REFLECT)
    return np.clip(tilted * random.uniform(0.6, 1.3, 3), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
