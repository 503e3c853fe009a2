"""``zoo predict --on ray`` compared with plain ``zoo predict``: CPU time, photos per second and memory.

    python benchmarks/cluster.py BUNDLE PHOTOS --count 3000

The cluster has one node for each core of this machine, and is started before the command. Both commands use all cores
and run in turn, with a few photos and with all of them. The time with a few photos is that of a command without photos,
and the difference is the time of the photos. Each photo is linked into a temporary folder repeatedly, until the count
is reached. CPU time is the sum over all processes, including those of Ray. On a machine that is busy with other work,
it is more reliable than elapsed time. Memory is that of Ray's processes except for the nodes, in the second and in the
last quarter of the time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from zoo.machine import core_count

#: Number of photos whose own time is negligible.
FEW = 16


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=3000)
    options = parser.parse_args()
    cores = core_count()
    costs: dict[tuple[str, int], Cost] = {}
    with tempfile.TemporaryDirectory() as folder:
        found = itertools.cycle(sorted(path.resolve() for path in options.photos.rglob("*") if path.is_file()))
        for count in (FEW, options.count):
            photos = Path(folder, f"{count} photos")
            photos.mkdir()
            for number in range(count):
                path = next(found)
                (photos / f"{number}{path.suffix}").symlink_to(path)
            words = [str(options.bundle.absolute()), str(photos), "--out"]
            here, there = (str(Path(folder, f"{name} {count}.jsonl")) for name in ("plain", "ray"))
            costs["plain", count] = predict([*words, here, "--threads", str(cores)], Watch())
            watch = Watch()
            costs["ray", count] = on_cluster(cores, [*words, there, "--on", "ray"], watch)
            assert Path(here).read_bytes() == Path(there).read_bytes()
            print(f"{count} photos: {watch.workers():.1f} s of CPU in Ray's workers")
        print(f"memory of Ray's processes: {watch.memory()}")
    per_photo = {}
    for name in ("plain", "ray"):
        few, many = costs[name, FEW], costs[name, options.count]
        per_photo[name] = (many.cpu_s - few.cpu_s) / (options.count - FEW)
        rate = (options.count - FEW) / (many.seconds - few.seconds)
        print(
            f"{name}: {few.cpu_s:.1f} s of CPU for {FEW} photos, {many.cpu_s:.1f} s for {options.count};"
            f" {1000 * per_photo[name]:.2f} ms per photo, {rate:.0f} photos/s"
        )
    for count in (options.count, 20_000, 1_000_000):
        plain, ray = (costs[name, FEW].cpu_s + count * per_photo[name] for name in ("plain", "ray"))
        print(f"{count} photos: plain / ray {plain / ray:.2f} by CPU")


def predict(words: list[str], watch: Watch) -> Cost:
    start, before = time.perf_counter(), spent()
    watch.start()
    command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "predict", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    return Cost(seconds, spent() - before + watch.stop())


def spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def on_cluster(cores: int, words: list[str], watch: Watch) -> Cost:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    for _ in range(cores - 1):
        cluster.add_node(**node)
    os.environ["RAY_ADDRESS"] = cluster.address
    time.sleep(10)  # the nodes start further processes
    found = predict(words, watch)
    cluster.shutdown()
    return found


class Watch:
    """Samples the processes of Ray, because the system does not add their times to those of this process."""

    def __init__(self) -> None:
        self._cpu: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._memory: list[int] = []
        self._workers: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._sample()
        self._before = dict(self._cpu)
        self._thread.start()

    def stop(self) -> float:
        """CPU seconds since the start."""
        self._sample()
        self._ended.set()
        self._thread.join()
        return sum(self._since(process) for process in self._cpu)

    def workers(self) -> float:
        """CPU seconds of the processes that predict."""
        return sum(self._since(process) for process in self._workers)

    def _since(self, process: str) -> float:
        return self._cpu[process] - self._before.get(process, 0.0)

    def memory(self) -> str:
        quarter = max(1, len(self._memory) // 4)
        parts = self._memory[quarter : 2 * quarter], self._memory[-quarter:]
        return ", ".join(f"{max(part) / 1e6:.0f} MB" for part in parts if part)

    def _run(self) -> None:
        while not self._ended.wait(0.25):
            self._sample()

    def _sample(self) -> None:
        total, ticks = 0, os.sysconf("SC_CLK_TCK")
        for process in Path("/proc").glob("[0-9]*"):
            try:
                name, _, rest = (process / "stat").read_text().rpartition(")")
                if not name.partition("(")[2].startswith(("ray::", "raylet", "gcs_server")):
                    continue
                fields = rest.split()
            except OSError:
                continue  # the process has ended
            self._cpu[process.name] = (int(fields[11]) + int(fields[12])) / ticks
            if "(ray::MapWorker" in name:
                self._workers.add(process.name)
            if "(ray::" in name:
                total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
        self._memory.append(total)


if __name__ == "__main__":
    main()
