"""Photos/s and memory of ``run.py --serve`` with eight clients, compared with the same models called without HTTP.

    python benchmarks/serve.py BUNDLE PHOTOS --seconds 5 --rounds 5

The baseline uses one thread for each core, each with its own copy of the model, like the service. The service and its
clients share the cores of this machine. Service and baseline run in turns, so that a slow moment of the machine affects
both. If the machine is busy with other work, CPU time is more reliable than wall time. ``--sustained 600`` adds ten
minutes of the service alone at the end, with its memory after each tenth.
"""

from __future__ import annotations

import argparse
import http.client
import importlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

PHOTO_NAMES = (".jpg", ".jpeg", ".png", ".webp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photos", type=Path, help="a folder")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sustained", type=float, default=0.0, metavar="SECONDS", help="of the service at the end")
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.photos.rglob("*") if path.suffix.lower() in PHOTO_NAMES)
    photos = [path.read_bytes() for path in paths[:: max(1, len(paths) // 50)]]
    classifiers = open_bundle(arguments.bundle)
    pixels = [classifiers[0].look(photo)[0] for photo in photos]
    expected = [classifiers[0].classify(photo).probability for photo in photos]
    command = [sys.executable, str(arguments.bundle / "run.py"), "--serve", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().split(" with ")[0].rstrip("/").rpartition(":")[2])
        own, model, served, memory = [], [], [], []
        for number in range(arguments.rounds + 1):
            turns = (
                ask(
                    classifiers, lambda one, place: one.probabilities(pixels[place]), len(photos), arguments.seconds / 2
                ),
                ask(classifiers, lambda one, place: one.classify(photos[place]), len(photos), arguments.seconds),
                post(process.pid, port, photos, expected, arguments.clients, arguments.seconds),
            )
            memory.append(resident_mb(process.pid))
            if number:  # the first request warms up
                for found, turn in zip((model, own, served), turns, strict=True):
                    found.append(turn)
        tenths = []
        for _ in range(10 if arguments.sustained else 0):
            tenths.append(post(process.pid, port, photos, expected, arguments.clients, arguments.sustained / 10))
            tenths[-1]["memory"] = resident_mb(process.pid)
        process.terminate()
    rows = {"model alone": model, "photo to answer": own, f"--serve, {arguments.clients} clients": served}
    print(f"{arguments.bundle.name}: {len(photos)} photos of {sum(map(len, photos)) / len(photos) / 1000:.0f} kB")
    print(f"{len(classifiers)} cores, {arguments.rounds} turns of {arguments.seconds:g} s each\n")
    print("| | photos/s | ratio to no HTTP | CPU ms per photo | ratio of no HTTP |\n|---|---|---|---|---|")
    for name, turns in rows.items():
        speed, cpu = (statistics.median(turn[key] for turn in turns) for key in ("speed", "cpu_ms"))
        faster = statistics.median(turn["speed"] / base["speed"] for turn, base in zip(turns, own, strict=True))
        dearer = statistics.median(base["cpu_ms"] / turn["cpu_ms"] for turn, base in zip(turns, own, strict=True))
        print(f"| {name} | {speed:.1f} | {faster:.3f} | {cpu:.2f} | {dearer:.3f} |")
    print(f"\nClients: {statistics.median(turn['client_cpu_ms'] for turn in served):.2f} ms of CPU per photo.")
    answered, lost = (sum(turn[key] for turn in served) for key in ("photos", "lost"))
    print(f"{answered:.0f} photos predicted, {lost:.0f} lost or wrong.")
    print(f"Memory after each turn, MB: {', '.join(f'{value:.1f}' for value in memory)}")
    if tenths:
        answered, lost = (sum(turn[key] for turn in tenths) for key in ("photos", "lost"))
        print(f"\n{arguments.sustained:g} s of the service: {answered:.0f} photos predicted, {lost:.0f} lost or wrong.")
        for key, text in (("speed", "Photos/s in each tenth"), ("memory", "Memory after each tenth, MB")):
            print(f"{text}: {', '.join(f'{turn[key]:.1f}' for turn in tenths)}")
    print(f"The service ended with {process.returncode}.")


def open_bundle(folder: Path) -> list[Any]:
    """Opens a classifier of the bundle's runner for each core."""
    sys.path.insert(0, str(folder))
    import cv2

    bundle, classify, machine, runtime = map(
        importlib.import_module,
        ("runner.edge.bundle", "runner.edge.classify", "runner.edge.machine", "runner.runtime"),
    )
    cv2.setNumThreads(1)
    read = bundle.read_bundle(folder)
    return [classify.open_bundle(read, runtime.load) for _ in range(machine.core_count())]


def ask(classifiers: list[Any], function: Callable[[Any, int], object], count: int, seconds: float) -> dict[str, float]:
    """Calls all classifiers at once, each in its own thread."""
    done = [0] * len(classifiers)

    def work(place: int, end: float) -> None:
        for number in islice(cycle(range(count)), place, None):
            if time.perf_counter() >= end:
                return
            function(classifiers[place], number)
            done[place] += 1

    start, cpu = time.perf_counter(), time.process_time()
    in_threads([lambda place=place: work(place, start + seconds) for place in range(len(classifiers))])
    taken, photos = time.perf_counter() - start, sum(done)
    return {"speed": photos / taken, "cpu_ms": (time.process_time() - cpu) / photos * 1000}


def post(
    pid: int, port: int, photos: list[bytes], expected: list[float], clients: int, seconds: float
) -> dict[str, float]:
    """Sends photos over one connection for each client. A client sends the next photo after it has its prediction."""
    done, lost = [0] * clients, [0] * clients

    def work(place: int, end: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for number in islice(cycle(range(len(photos))), place, None):
            if time.perf_counter() >= end:
                connection.close()
                return
            connection.request("POST", "/", photos[number])
            answer = connection.getresponse()
            found = json.loads(answer.read())
            done[place] += 1
            lost[place] += answer.status != 200 or abs(found["probability"] - expected[number]) > 1e-6

    start, cpu, client_cpu = time.perf_counter(), cpu_s(pid), time.process_time()
    in_threads([lambda place=place: work(place, start + seconds) for place in range(clients)])
    taken, answered = time.perf_counter() - start, sum(done)
    return {
        "photos": answered,
        "lost": sum(lost),
        "speed": answered / taken,
        "cpu_ms": (cpu_s(pid) - cpu) / answered * 1000,
        "client_cpu_ms": (time.process_time() - client_cpu) / answered * 1000,
    }


def in_threads(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
