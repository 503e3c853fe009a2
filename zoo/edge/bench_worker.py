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
    from zoo.edge.bundle import Bundle
    from zoo.edge.classify import Classifier, Load

#: Available measurements: one prediction and its memory; the latency of the model alone; or all speeds.
WORKS = ("answer", "latency", "speed")

#: Batch sizes that are tried, if the file supports any batch size.
BATCHES = (2, 4, 8, 16, 32)

#: Maximum number of values in a batch: 128 MiB as float32.
_MOST_VALUES = 2**25

#: Minimum number of runs in a measurement, unless they take ``_LONGEST`` times its duration.
_LEAST_RUNS = 20
_LEAST_BATCH_RUNS = 3
_LONGEST = 10

#: Share of the duration of a measurement for a warm-up before it, in which caches are filled and processors reach their
#: clock speed.
_WARM_UP = 0.25


def work(bundle: Bundle, load: Load, kind: str, pictures: Sequence[Path], threads: int, seconds: float) -> int:
    """Runs the measurement and prints the result.

    Args:
        bundle: The bundle.
        load: Loads its model for prediction.
        kind: One of ``WORKS``.
        pictures: Images to predict.
        threads: Number of threads of the model.
        seconds: Duration of each measurement of ``latency`` and ``speed``.
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
    else:
        found = _speed(classifier, pictures, threads, seconds)
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
