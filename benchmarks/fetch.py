"""``zoo data fetch`` from a local server with latency, compared with one image at a time, and killed at random.

    python benchmarks/fetch.py

There are 2000 images of 100 kB, and the server waits 50 ms before every response. The server is a separate process that
counts which responses arrived (``tests/fetch/server.py``). Both times are those of whole commands, from the start of
Python to the summary.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import cv2
import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_images(folder / "served", arguments.images)
        server, port = start_server(folder / "served", arguments.latency_ms)
        try:
            listed = write_list(folder / "list.csv", folder / "served", port)
            many_s = fetch(listed, folder / "many")
            one_s = fetch(listed, folder / "one", "--jobs", "1")
            print(f"one at a time {one_s:.1f} s, 32 at once {many_s:.1f} s: {one_s / many_s:.1f} times as fast")
            check_whole(folder / "many", folder / "served")
        finally:
            server.terminate()
        server, port = start_server(folder / "served", arguments.latency_ms)
        try:
            killed(write_list(folder / "list.csv", folder / "served", port), folder, port, arguments)
        finally:
            server.terminate()


def make_images(folder: Path, count: int) -> None:
    """Writes JPEG files of smooth noise. Bytes after the end of the image give each file exactly 100 kB."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    pictures = []
    for _ in range(10):
        small = noise.integers(0, 255, (60, 80, 3), np.uint8)
        image = cv2.resize(small, (800, 600), interpolation=cv2.INTER_CUBIC)
        image = cv2.add(image, noise.integers(0, 24, image.shape, np.uint8))
        quality = next(q for q in range(95, 0, -1) if len(encode(image, q)) < 99_000)
        pictures.append(encode(image, quality))
    for number in range(count):
        picture = pictures[number % 10]
        (folder / f"{number}.jpg").write_bytes(picture + number.to_bytes(100_000 - len(picture), "big"))


def encode(image: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def start_server(folder: Path, latency_ms: float) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "tests.fetch.server", str(folder), "--latency-ms", str(latency_ms)]
    server = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    return server, int(server.stdout.readline())


def write_list(path: Path, folder: Path, port: int) -> Path:
    with path.open("w", newline="") as file:
        rows = [(f"http://127.0.0.1:{port}/{image.name}", "ball") for image in sorted(folder.iterdir())]
        csv.writer(file).writerows([("url", "label"), *rows])
    return path


def command(listed: Path, out: Path, *options: str) -> list[str]:
    code = "from zoo.cli.main import main; main()"
    words = ["data", "fetch", "urls", str(listed), "--out", str(out), "--allow-private", *options]
    return [sys.executable, "-c", code, *words]


def fetch(listed: Path, out: Path, *options: str) -> float:
    start = time.perf_counter()
    subprocess.run(command(listed, out, *options), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def killed(listed: Path, folder: Path, port: int, arguments: argparse.Namespace) -> None:
    """Kills the command several times at a random moment, then lets it finish, and checks the images."""
    out = folder / "killed"
    for _ in range(arguments.kills):
        target = counts(port)["answers"] + random.randrange(arguments.images // (arguments.kills + 1))
        process = subprocess.Popen(command(listed, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and counts(port)["answers"] < target:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.1))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        images = list(out.glob("ball/*"))
        print(f"  killed with {len(images)} images there, {sum(x.stat().st_size != 100_000 for x in images)} not whole")
    fetch(listed, out)
    check_whole(out, folder / "served")
    arrived = counts(port)["arrived"]
    print(
        f"killed {arguments.kills} times, then run again: {len(list(out.glob('ball/*')))} images, all whole; "
        f"{sum(times > 1 for times in arrived.values())} fetched twice, {counts(port)['answers']} answers in all"
    )


def counts(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/counts") as response:
        return json.load(response)


def check_whole(out: Path, served: Path) -> None:
    there = sorted(path.read_bytes() for path in out.glob("ball/*"))
    assert there == sorted(path.read_bytes() for path in served.iterdir()), "an image is missing or not whole"


if __name__ == "__main__":
    main()
