"""int8 files of runs compared with Keras on the test photos: agreement, accuracy, divergence, and time of the export.

    python benchmarks/int8.py RUN ... --work FOLDER --effort quick

Every run is exported as ONNX and TFLite, with gates that accept every file, and each file classifies the test photos.
"p" is the two-sided p-value of McNemar's exact test of the change in accuracy. KL is the mean Kullback-Leibler
divergence from Keras's probabilities. Seconds are the CPU time of the whole export of both files.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from zoo.figures import percent, points
from zoo.interfaces import INT8_EFFORTS

FORMATS = ("onnx", "tflite")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--effort", choices=INT8_EFFORTS, default="best")
    arguments = parser.parse_args()
    print("| run | format | photos | agreement | accuracy change | p | KL | seconds |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    found = [row for run in arguments.runs for row in _measure(run, arguments.work, arguments.effort)]
    agreements, changes = np.array(found).T
    print(f"| mean | | | {percent(agreements.mean())} | {points(changes.mean(), 2)} | | | |")
    print(f"| least | | | {percent(agreements.min())} | {points(changes.min())} | | | |")


def _measure(folder: Path, work: Path, effort: str) -> list[tuple[float, float]]:
    from zoo.parity import keras_predictions, verification_images
    from zoo.registry import exporters
    from zoo.reporter import Reporter
    from zoo.workflows.export import ExportRequest, export

    start = time.process_time()
    request = ExportRequest(
        model=str(folder),
        formats=FORMATS,
        precisions=("int8",),
        out=work / folder.name,
        photos=False,
        int8_effort=effort,
        gates={"min_agreement": 0.0, "max_accuracy_drop": 1.0},
    )
    exported = export(request, Reporter())
    seconds = time.process_time() - start
    images, split = verification_images(exported.model)
    indices = images.indices(split)
    expected = keras_predictions(exported.model, images, split)
    classes, before = images.classes[indices], expected.argmax(axis=1)
    rows = []
    for target in exported.targets:
        if target.error:
            raise target.error
        runtime = exporters().get(target.target.exporter.name).load(target.path, 1)
        answers = np.concatenate([runtime.predict(images.pixels.read([index])) for index in indices])
        after = answers.argmax(axis=1)
        agreement = float((before == after).mean())
        gained, lost = (
            int(((after == classes) & (before != classes)).sum()),
            int(((after != classes) & (before == classes)).sum()),
        )
        p = binomtest(lost, gained + lost).pvalue if gained + lost else 1.0
        divergence = (expected * (np.log(expected + 1e-9) - np.log(answers + 1e-9))).sum(axis=1).mean()
        change = (gained - lost) / len(indices)
        name = f"{folder.parent.name}/{folder.name} | {target.target.exporter.name}"
        figures = f"{percent(agreement)} | {points(change)} | {p:.2f} | {divergence:.4f} | {seconds:.0f}"
        print(f"| {name} | {len(indices)} | {figures} |", flush=True)
        rows.append((agreement, change))
    return rows


if __name__ == "__main__":
    main()
