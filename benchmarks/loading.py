"""Peak memory and time of loading and training with 500 and 5000 images, compared with the tutorial's loading code.

    python benchmarks/loading.py photos/
    python benchmarks/loading.py photos/ --many 20000 200000

``photos/`` contains train/<class>/*.jpg. Its files are repeated until there are enough. Each copy has a few more bytes,
so that its content is new and its image is the same. Every measurement is a separate process, and memory is its peak
resident size. Seconds are the time to the first batch; after that, zoo reads two whole epochs of augmented batches. For
``zoo train mobilenetv2``, seconds are the time of the whole command, for which the cache contains the decoded photos
but not their features. One line for each count shows CPU time: for decoding into an empty cache, and for checking the
checksums of its content. "Beyond" is a cache with room for a hundred photos, so all other photos are decoded whenever
they are read. The last line shows how fast 1000 of these photos are read, compared with OpenCV alone (read, resize) in
as many threads, in turn.

With ``--many``, the photos are copies of 96 px with one changed pixel, all with different content, for each count.
Measured are the whole command or call, each in a new process, with a cache that holds a small part of the images:

- listing, reading, hashing and splitting (``load_data`` at 32 px, with a cache of 20 MB), and the same again
- ``zoo train simple_cnn --size 32 --epochs 1``, with this cache
- ``zoo data check``, with a cache of 8 kB for each photo, which is enough for the features and few images, and again

CPU time is that of all threads, for each photo. ``--only`` selects some of them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2

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

MANY = """
import contextlib, os, resource, sys, time
from zoo import ImageSpec
from zoo.cli.main import cli
from zoo.data import load_data
photos, what, count = sys.argv[1:]
start = time.perf_counter()
if what == "list":
    load_data(photos, ImageSpec(height_px=32, width_px=32))
else:
    training = ["train", "simple_cnn", "--size", "32", "--epochs", "1", "--data", photos, "--runs", photos + "-runs"]
    checking = ["data", "check", photos, "--fail-on", "never", "--json"]
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        cli(training if what == "train" else checking, standalone_mode=False)
used = resource.getrusage(resource.RUSAGE_SELF)
taken = time.perf_counter() - start, (used.ru_utime + used.ru_stime) / int(count) * 1000, used.ru_maxrss / 1024
print(*(f"{value:.2f}" for value in taken))
"""

#: What ``--many`` measures, and the size of its cache in bytes for a number of photos.
MEASURED: dict[str, Callable[[int], float]] = {
    "list": lambda count: 20e6,
    "train": lambda count: 20e6,
    "check": lambda count: 8e3 * count,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--many", type=int, nargs="+", help="Measure growth with so many small photos instead.")
    parser.add_argument("--only", nargs="+", choices=tuple(MEASURED), default=tuple(MEASURED), help="With --many.")
    arguments = parser.parse_args()
    if arguments.many:
        grow(arguments.data / "train", arguments.many, arguments.only)
        return
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


def grow(source: Path, counts: list[int], chosen: list[str]) -> None:
    print(f"{'images':>7}  {'what':<12}  {'seconds':>8}  {'CPU ms/photo':>12}  {'peak MB':>7}")
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            photos = changed_copies(source, Path(folder) / "photos", count)
            for what in chosen:
                limit = MEASURED[what](count) / 1e9
                cache = {"ZOO_CACHE_DIR": f"{folder}/{what}", "ZOO_CACHE_GB": f"{limit:g}"}
                for turn in ("", " again") if what != "train" else ("",):
                    seconds, cpu, peak = measure(MANY, photos, os.environ | cache, what, str(count))
                    line = f"{count:>7}  {what + turn:<12}  {float(seconds):>8.1f}  {cpu:>12}  {float(peak):>7.0f}"
                    print(line, flush=True)


def changed_copies(source: Path, target: Path, count: int) -> Path:
    """Copies of 96 px. The changed pixel is another one in every copy of a photo."""
    side = 96
    files = sorted(source.rglob("*.jpg"))
    old = time.time() - 3600  # files that were changed within the last seconds would be read again

    def copies(place: int) -> None:
        image = cv2.resize(cv2.imread(str(files[place])), (side, side), interpolation=cv2.INTER_AREA)
        folder = target / files[place].parent.name
        for number in range(place, count, len(files)):
            changed = image.copy()
            changed.reshape(-1, 3)[number // len(files) % side**2] ^= 255
            path = folder / f"{number}.jpg"
            path.write_bytes(cv2.imencode(".jpg", changed, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
            os.utime(path, (old, old))

    for folder in {file.parent.name for file in files}:
        (target / folder).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor() as pool:
        list(pool.map(copies, range(len(files))))
    return target


def measure(code: str, photos: Path, environment: dict[str, str], *arguments: str) -> list[str]:
    command = [sys.executable, "-c", code, str(photos), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()


def show(what: str, values: list[str]) -> None:
    print(f"{values[0]:>6}  {what:<22}  {values[1]:>8}  {values[2]:>7}", flush=True)


if __name__ == "__main__":
    main()
