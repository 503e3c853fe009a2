"""Peak memory and time of loading and training with 500 and 5000 images, compared with the tutorial's loading code.

    python benchmarks/loading.py photos/

``photos/`` contains train/<class>/*.jpg. Its files are repeated until there are enough. Each copy has a few more bytes,
so that its content is new and its image is the same. Every measurement is a separate process, and memory is its peak
resident size. Seconds are the time to the first batch; after that, zoo reads two whole epochs of augmented batches. For
``zoo train mobilenetv2``, seconds are the time of the whole command, for which the cache contains the decoded photos
but not their features. One line for each count shows CPU time: for decoding into an empty cache, and for checking the
checksums of its content. "Beyond" is a cache with room for a hundred photos, so all other photos are decoded whenever
they are read. The last line shows how fast 1000 of these photos are read, compared with OpenCV alone (read, resize) in
as many threads, in turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from zoo.figures import percent

OURS = """
import resource, sys, time
from zoo import ImageSpec, Recipe
from zoo.data import TRAIN, load_data
from zoo.training.batches import TrainingBatches
start = time.perf_counter()
data = load_data(sys.argv[1], ImageSpec())
batches = TrainingBatches(data, data.indices(TRAIN), Recipe(augmentation="strong"), 0)
batches.batch(0, 0)
first_s = time.perf_counter() - start
stream = batches.stream(0)
for _ in range(2 * batches.steps):
    next(stream)
stream.close()
print(len(data.names), f"{first_s:.2f}", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""

CHECKING = """
import gc, sys, time
from zoo import ImageSpec
from zoo.data import load_data, segments
spent = [0.0]
check = segments.Segment._checksum
def timed(segment):
    start = time.process_time()
    crc32 = check(segment)
    spent[0] += time.process_time() - start
    return crc32
start = time.process_time()
load_data(sys.argv[1], ImageSpec())
decoding_s = time.process_time() - start
segments.Segment._checksum = timed
gc.collect()
data = load_data(sys.argv[1], ImageSpec())
print(len(data.names), f"{decoding_s:.2f}", f"{spent[0]:.3f}")
"""

BEYOND = """
import statistics, sys, time
from concurrent.futures import ThreadPoolExecutor
import cv2
from zoo import ImageSpec
from zoo.data import load_data
from zoo.machine import core_count
data = load_data(sys.argv[1], ImageSpec())
chosen = list(range(len(data.names)))[-1000:]
paths = [str(data.root / data.names[index]) for index in chosen]
def ours():
    for first in range(0, len(chosen), 32):
        data.pixels.read(chosen[first : first + 32])
def plain():
    with ThreadPoolExecutor(min(8, core_count())) as pool:
        for _ in pool.map(lambda path: cv2.resize(cv2.imread(path), (224, 224), interpolation=cv2.INTER_AREA), paths):
            pass
rates = {ours: [], plain: []}
for _ in range(3):
    for read in rates:
        start = time.perf_counter()
        read()
        rates[read].append(len(chosen) / (time.perf_counter() - start))
print(len(data.names), *(f"{statistics.median(found):.0f}" for found in rates.values()))
"""

TRAINING = """
import contextlib, json, pathlib, resource, sys, time
from zoo.cli.main import cli
start = time.perf_counter()
with contextlib.redirect_stdout(sys.stderr):
    cli(["train", "mobilenetv2", "--data", sys.argv[1], "--runs", sys.argv[1] + "-runs"], standalone_mode=False)
(run,) = pathlib.Path(sys.argv[1] + "-runs").glob("*/run.json")
images = sum(sum(split.values()) for split in json.loads(run.read_text())["data"]["counts"].values())
print(images, f"{time.perf_counter() - start:.2f}", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""

TUTORIAL = """
import os, resource, sys, time
import cv2, numpy as np
start = time.perf_counter()
data = []
for number, label in enumerate(sorted(os.listdir(sys.argv[1]))):
    for name in os.listdir(os.path.join(sys.argv[1], label)):
        image = cv2.imread(os.path.join(sys.argv[1], label, name))[..., ::-1]
        data.append([cv2.resize(image, (224, 224)), number])
x = np.array([image for image, _ in data]) / 255
y = np.array([number for _, number in data])
print(len(x), f"{time.perf_counter() - start:.2f}", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 5000])
    arguments = parser.parse_args()
    print(f"{'images':>6}  {'what':<22}  {'seconds':>8}  {'peak MB':>7}")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ZOO_CACHE_DIR": str(Path(folder) / "cache")}
        for count in arguments.counts:
            photos = repeat(arguments.data / "train", Path(folder) / f"photos{count}", count)
            for what in ("ours, first run", "ours, second run"):
                show(what, measure(OURS, photos, environment))
            show("zoo train mobilenetv2", measure(TRAINING, photos, environment))
            beyond = environment | {"ZOO_CACHE_DIR": f"{folder}/beyond{count}", "ZOO_CACHE_GB": "0.015"}
            for what in ("beyond, first run", "beyond, second run"):
                show(what, measure(OURS, photos, beyond))
            images, ours, plain = measure(BEYOND, photos, beyond)
            ratio = float(ours) / float(plain)
            print(f"{images:>6}  beyond: {ours} photos/s, OpenCV alone {plain} (ratio {ratio:.2f})", flush=True)
            empty = environment | {"ZOO_CACHE_DIR": str(Path(folder) / f"empty{count}")}
            images, decoding_s, checking_s = measure(CHECKING, photos, empty)
            share = percent(float(checking_s) / float(decoding_s))
            print(f"{images:>6}  decoding {decoding_s} s CPU, checksums {checking_s} s CPU ({share})", flush=True)
            if count <= 1000:  # with 5000, it needs more memory than most machines have
                show("the tutorial's", measure(TUTORIAL, photos, environment))


def repeat(source: Path, target: Path, count: int) -> Path:
    files = sorted(source.rglob("*.jpg"))
    old = time.time() - 3600  # files that were changed within the last seconds would be read again
    for number in range(count):
        original = files[number % len(files)]
        path = target / original.parent.name / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(original.read_bytes() + number.to_bytes(4, "big"))
        os.utime(path, (old, old))
    return target


def measure(code: str, photos: Path, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code, str(photos)], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def show(what: str, values: list[str]) -> None:
    print(f"{values[0]:>6}  {what:<22}  {values[1]:>8}  {values[2]:>7}", flush=True)


if __name__ == "__main__":
    main()
