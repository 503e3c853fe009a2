"""CPU time that the map of an exported file adds: a bundle without and one with the map, in turn in one process.

    python benchmarks/explain.py runs/balls/exports/mobilenetv2-onnx-int8 MAPPED/mobilenetv2-onnx-int8 photo.jpg

On one core, the CPU time is measured for the model alone, from the photo file to a prediction and to the evidence, and
for drawing the map.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from zoo.edge.bundle import read_bundle
from zoo.edge.classify import Classifier, open_bundle
from zoo.edge.explain import explain, map_reader
from zoo.exported import MappingRuntime
from zoo.images import load_image
from zoo.registry import exporters

ROUNDS = 100


def opened(folder: Path) -> Classifier:
    bundle = read_bundle(folder)
    return open_bundle(bundle, exporters().get(str(bundle.values["format"])).load, 1)


def timed_ms(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Median CPU time of both functions in milliseconds. They are called in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(ROUNDS + 5):
        for call, found in zip((first, second), times, strict=True):
            start = time.process_time()
            call()
            if turn >= 5:
                found.append(time.process_time() - start)
    return statistics.median(times[0]) * 1000, statistics.median(times[1]) * 1000


def main() -> None:
    plain, mapped = (opened(Path(folder)) for folder in sys.argv[1:3])
    photo = sys.argv[3]
    cv2.setNumThreads(1)
    pixels = load_image(photo, plain.image)[None]
    runtime = mapped.runtime
    assert isinstance(runtime, MappingRuntime)
    find = map_reader(runtime, "")
    model = timed_ms(lambda: plain.runtime.predict(pixels), lambda: runtime.explain(pixels))
    answer = timed_ms(lambda: plain.classify(photo), lambda: explain(mapped, find, photo))
    drawn, _ = timed_ms(lambda: explain(mapped, find, photo).png(), lambda: None)
    print(f"model: {model[0]:.2f} ms without, {model[1]:.2f} ms with the map, {model[1] / model[0]:.3f} times")
    print(f"from the file: answer {answer[0]:.2f} ms, evidence {answer[1]:.2f} ms, {answer[1] / answer[0]:.3f} times")
    print(f"with the picture drawn and compressed: {drawn:.2f} ms")


if __name__ == "__main__":
    main()
