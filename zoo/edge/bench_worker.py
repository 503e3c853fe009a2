"""One measurement of a benchmark in its own process, with a newly loaded model and a given number of threads.

It is started by ``run.py --bench``, and writes its result to standard output as one line of JSON.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.edge.machine import peak_memory_bytes

if TYPE_CHECKING:
    from concurrent.futures import Future

    from zoo.edge.bundle import Bundle
    from zoo.edge.classify import Classifier, Load
    from zoo.edge.sensors import EnergyMeter

#: Available measurements: one prediction and its memory; the latency of the model alone; all speeds; or the speed of
#: several copies over a longer time.
WORKS = ("answer", "latency", "speed", "sustained")

#: Parts into which a sustained run is divided.
WINDOWS = 10

#: Seconds between two readings of the sensors.
_READING_S = 1.0

#: Batch sizes that are tried, if the file supports any batch size.
BATCHES = (2, 4, 8, 16, 32)

#: Maximum number of values in a batch: 128 MiB as float32.
_MOST_VALUES = 2**25

#: Minimum number of runs in a measurement, unless they take longer than ``_LONGEST`` times its intended duration.
_LEAST_RUNS = 20
_LEAST_BATCH_RUNS = 3
_LONGEST = 10

#: Duration of the warm-up before a measurement, as a share of the duration of the measurement. During the warm-up,
#: caches are filled and processors reach their clock speed.
_WARM_UP = 0.25


def work(bundle: Bundle, load: Load, kind: str, pictures: Sequence[Path], threads: int, seconds: float) -> int:
    """Runs the measurement and prints the result.

    Args:
        bundle: The bundle.
        load: Loads the model of the bundle for prediction.
        kind: One of ``WORKS``.
        pictures: Images to predict.
        threads: Number of threads of the model; for ``sustained``, number of copies with one thread each.
        seconds: Duration of each measurement of ``latency`` and ``speed``, and of the whole run of ``sustained``.
    """
    from zoo.edge.classify import open_bundle

    start = time.perf_counter()
    classifier = open_bundle(bundle, load, threads)
    load_ms = (time.perf_counter() - start) * 1000
    if kind == "answer":
        classifier.classify(pictures[0])
        found: dict[str, Any] = {"load_ms": load_ms, "peak_memory_bytes": peak_memory_bytes()}
    elif kind == "latency":
        shown = _endlessly([classifier.look(path)[0] for path in pictures])
        found = {"model": _timed(lambda: classifier.probabilities(next(shown)), seconds, _LEAST_RUNS)}
    elif kind == "speed":
        found = _speed(classifier, pictures, threads, seconds)
        (together,) = _together(_copies(bundle, load, threads), pictures, seconds, 1)
        found["copies"] = {"copies": threads} | {name: together[name] for name in ("images_per_s", "images")}
    else:
        found = _sustained(_copies(bundle, load, threads), pictures, seconds)
    print(json.dumps(found))
    return 0


def _speed(classifier: Classifier, pictures: Sequence[Path], threads: int, seconds: float) -> dict[str, Any]:
    import numpy as np

    from zoo.images import look, read_file

    pixels = [classifier.look(path)[0] for path in pictures]
    shown, seen = _endlessly(pixels), _endlessly(pictures)
    model = _timed(lambda: classifier.probabilities(next(shown)), seconds, _LEAST_RUNS)
    photo = _timed(lambda: classifier.classify(next(seen)), seconds, _LEAST_RUNS)
    megapixels = [np.prod(look(read_file(path))[0].shape[:2]) / 1e6 for path in pictures]
    batches = [{"size": 1, "images_per_s": model["images_per_s"], "runs": model["runs"]}]
    for size in BATCHES if classifier.runtime.inputs[0].shape[0] is None else ():
        batch = np.stack([pixels[place % len(pixels)] for place in range(size)])
        if batch.size > _MOST_VALUES:
            break
        found = _timed(lambda batch=batch: classifier.runtime.predict(batch), seconds / 2, _LEAST_BATCH_RUNS)  # type: ignore[misc]
        batches.append({"size": size, "images_per_s": found["images_per_s"] * size, "runs": found["runs"]})
    return {
        "threads": threads,
        "model": model,
        "photo": photo | {"pictures": len(pictures), "megapixels": float(np.mean(megapixels))},
        "batches": batches,
    }


def _copies(bundle: Bundle, load: Load, count: int) -> list[Classifier]:
    """Loads ``count`` copies of the model with one thread each."""
    import cv2

    from zoo.edge.classify import open_bundle

    cv2.setNumThreads(1)
    return [open_bundle(bundle, load, 1) for _ in range(count)]


def _sustained(copies: Sequence[Classifier], pictures: Sequence[Path], seconds: float) -> dict[str, Any]:
    found = _together(copies, pictures, seconds, WINDOWS)
    taken, images = sum(window["seconds"] for window in found), sum(window["images"] for window in found)
    powers = [window["power_w"] for window in found]
    energy = None if None in powers else sum(window["power_w"] * window["seconds"] for window in found)
    return {
        "copies": len(copies),
        "seconds": taken,
        "images_per_s": images / taken,
        "joules_per_image": None if energy is None or not images else energy / images,
        "energy_source": found[0]["energy_source"] if energy is not None else None,
        "windows": [{name: value for name, value in window.items() if name != "energy_source"} for window in found],
    }


def _together(
    copies: Sequence[Classifier], pictures: Sequence[Path], seconds: float, windows: int
) -> list[dict[str, Any]]:
    """Predicts photos with all copies at the same time. Returns speed and readings of the sensors for each window."""
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
    from threading import Event

    from zoo.edge.sensors import EnergyMeter

    stop, done = Event(), [0] * len(copies)

    def answer(place: int) -> None:
        for picture in _endlessly(pictures):
            copies[place].classify(picture)
            done[place] += 1
            if stop.is_set():
                return

    with ThreadPoolExecutor(len(copies)) as pool:
        answering = [pool.submit(answer, place) for place in range(len(copies))]
        try:
            if windows == 1:  # no warm-up before a sustained run, which begins with a cold processor
                wait(answering, _WARM_UP * seconds, FIRST_EXCEPTION)
            meter = EnergyMeter()  # one for all windows, which then have the same source
            return [_window(answering, done, seconds / windows, meter) for _ in range(windows)]
        finally:
            stop.set()


def _window(
    answering: Sequence[Future[None]], done: Sequence[int], seconds: float, meter: EnergyMeter
) -> dict[str, Any]:
    from concurrent.futures import FIRST_EXCEPTION, wait

    from zoo.edge.sensors import frequency_mhz, temperature_c

    frequencies = []
    energy: float | None = 0.0
    start, before = time.perf_counter(), sum(done)
    while True:
        left = seconds - (time.perf_counter() - start)
        wait(answering, min(max(left, 0.01), _READING_S), FIRST_EXCEPTION)
        for future in answering:
            if future.done():
                future.result()  # a thread ends this early only after an error, which is raised here
        used, frequency = meter.joules(), frequency_mhz()
        energy = energy + used if energy is not None and used is not None else None
        frequencies += [] if frequency is None else [frequency]
        taken, images = time.perf_counter() - start, sum(done) - before
        if (taken >= seconds and images) or taken >= _LONGEST * seconds:
            break
    return {
        "seconds": taken,
        "images": images,
        "images_per_s": images / taken,
        "temperature_c": temperature_c(),
        "frequency_mhz": sum(frequencies) / len(frequencies) if frequencies else None,
        "power_w": None if energy is None else energy / taken,
        "energy_source": meter.source,
    }


def _timed(function: Callable[[], object], seconds: float, least: int) -> dict[str, Any]:
    """Milliseconds per run (median and 95th percentile), and runs per second."""
    import numpy as np

    def until(end: float) -> None:
        function()
        while time.perf_counter() < end:
            function()

    start = time.perf_counter()
    until(start + _WARM_UP * seconds)
    taken_ms: list[float] = []
    start = before = time.perf_counter()
    while True:
        function()
        now = time.perf_counter()
        taken_ms.append((now - before) * 1000)
        before = now
        elapsed = now - start
        if (elapsed >= seconds and len(taken_ms) >= least) or elapsed >= _LONGEST * seconds:
            break
    p50, p95 = np.percentile(taken_ms, [50, 95])
    return {
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "images_per_s": len(taken_ms) / elapsed,
        "runs": len(taken_ms),
    }


def _endlessly(items: Sequence[Any]) -> Any:
    import itertools

    return itertools.cycle(items)
