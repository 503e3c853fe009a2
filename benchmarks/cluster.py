"""``zoo predict --on ray`` against plain ``zoo predict``: photos a second, CPU time and memory.

    python benchmarks/cluster.py BUNDLE PHOTOS --count 3000 --rounds 2

The cluster has one node for each core of this machine, and both commands use all cores. They take turns. Photos are
linked into a temporary folder as often as it takes to reach the count. CPU is what all processes spent, those of Ray
included; the cluster's start and end without any work are measured first and subtracted. Memory is that of the workers,
in the second and in the last quarter of the time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from zoo.machine import core_count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    cores = core_count()
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        photos.mkdir()
        found = sorted(path.resolve() for path in options.photos.rglob("*") if path.is_file())
        for number, path in zip(range(options.count), itertools.cycle(found), strict=False):
            (photos / f"{number}{path.suffix}").symlink_to(path)
        idle = on_cluster(cores, lambda: None)[1]
        print(f"a cluster without work: {idle:.1f} s of CPU")
        ratios = []
        for _ in range(options.rounds):
            words = [str(options.bundle.absolute()), str(photos), "--out"]
            here = [*words, str(Path(folder, "here.jsonl")), "--threads", str(cores)]
            seconds, cpu = timed(lambda here=here: predict(here))
            told("plain", options.count, seconds, cpu)
            memory = Memory()
            there = [*words, str(Path(folder, "there.jsonl")), "--on", "ray"]
            ray_seconds, ray_cpu = on_cluster(cores, lambda there=there: predict(there), memory)
            told("ray", options.count, ray_seconds, ray_cpu - idle)
            print(f"  workers: {memory.told()}")
            assert Path(folder, "here.jsonl").read_bytes() == Path(folder, "there.jsonl").read_bytes()
            ratios.append((seconds / ray_seconds, cpu / (ray_cpu - idle)))
        speed, work = (statistics.median(ratio) for ratio in zip(*ratios, strict=True))
        print(f"speed of ray / plain: {speed:.2f} by time, {work:.2f} by CPU")


def predict(words: list[str]) -> None:
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "predict", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def timed(act: Any) -> tuple[float, float]:
    start, before = time.perf_counter(), spent()
    act()
    return time.perf_counter() - start, spent() - before


def spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def on_cluster(cores: int, act: Any, memory: Memory | None = None) -> tuple[float, float]:
    """Seconds of ``act`` and CPU seconds of the cluster and ``act``."""
    from ray.cluster_utils import Cluster

    before = spent()
    node = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    for _ in range(cores - 1):
        cluster.add_node(**node)
    os.environ["RAY_ADDRESS"] = cluster.address
    if memory:
        memory.start()
    start = time.perf_counter()
    act()
    seconds = time.perf_counter() - start
    if memory:
        memory.stop()
    cluster.shutdown()
    return seconds, spent() - before


class Memory:
    """Samples the memory of Ray's workers twice a second."""

    def __init__(self) -> None:
        self._samples: list[int] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.start, self.stop = self._thread.start, self._ended.set

    def _sample(self) -> None:
        while not self._ended.wait(0.5):
            total = 0
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                except (OSError, ValueError):
                    continue
                if fields["Name"].strip().startswith("ray::"):
                    total += int(fields.get("RssAnon", "0").split()[0]) * 1024
            self._samples.append(total)

    def told(self) -> str:
        quarter = max(1, len(self._samples) // 4)
        second, last = self._samples[quarter : 2 * quarter], self._samples[-quarter:]
        return ", ".join(f"{max(part) / 1e6:.0f} MB" for part in (second, last) if part)


def told(name: str, count: int, seconds: float, cpu: float) -> None:
    print(f"{name}: {count / seconds:.1f} photos/s, {1000 * cpu / count:.1f} ms of CPU a photo")


if __name__ == "__main__":
    main()
