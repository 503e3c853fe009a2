"""Compares image rules for an architecture: cross-validation on training photos, and accuracy on ImageNet photos.

    python benchmarks/image_rules.py SHARED --architecture efficientnet_lite1 --architecture efficientnet_lite2

SHARED contains the datasets of the shared test data. Only training photos of each dataset are used, about ``--most`` of
them, with the same share of each class. The rules are compared by the same function as the candidates of ``zoo
search``. For ``nips17_sample``, the pretrained network predicts one of 1000 classes. The mean is over the datasets, and
the Brier score is over all photos.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

SETS = ("rugby_soccer", "ccby_coarse", "hymenoptera_small", "trashnet", "flowers5")
RULES = (("squash", "area"), ("squash", "bilinear"), ("squash", "bicubic"), ("crop", "area"), ("crop", "bicubic"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shared", type=Path)
    parser.add_argument("--architecture", action="append", required=True)
    parser.add_argument("--most", type=int, default=300)
    arguments = parser.parse_args()
    from zoo.backend import start_keras

    start_keras()
    from zoo.figures import percent

    print(f"{'architecture and rule':44}  {'  '.join(f'{name[:12]:>12}' for name in SETS)}  mean    Brier   ImageNet")
    for name in arguments.architecture:
        for image in rules(name):
            judged = [judge(name, image, arguments.shared / folder, arguments.most) for folder in SETS]
            shares = "  ".join(f"{percent(found.accuracy):>12}" for found in judged)
            mean = float(np.mean([found.accuracy for found in judged]))
            brier = np.average([found.brier_score for found in judged], weights=[found.n for found in judged])
            right, asked = imagenet(name, image, arguments.shared)
            print(f"{f'{name} {image}':44}  {shares}  {percent(mean)}  {brier:.4f}  {right} of {asked}", flush=True)


def rules(name: str) -> Iterator[object]:
    from zoo.registry import architectures

    for resize, interpolation in RULES:
        yield replace(architectures().get(name).image, resize=resize, interpolation=interpolation)  # type: ignore[arg-type]


def judge(name: str, image: object, folder: Path, most: int) -> object:
    from zoo.data import load_data
    from zoo.reporter import Reporter
    from zoo.searching.candidate import Candidate
    from zoo.searching.judge import choosing_photos, judge

    data = load_data(str(folder), image)
    chosen = np.flatnonzero(np.array(data.splits) != "test")
    if len(chosen) > most:
        kept = [
            index
            for label in range(len(data.labels))
            for index in chosen[data.classes[chosen] == label][:: -(-len(chosen) // most)]
        ]
        splits = ["test"] * len(data.splits)
        for index in kept:
            splits[index] = "train"
        data = replace(data, splits=tuple(splits))
    candidate = Candidate(architecture=name, image=image)
    return judge(candidate, choosing_photos(data), Reporter(), time.perf_counter()).judged


def imagenet(name: str, image: object, shared: Path) -> tuple[int, int]:
    """Number of photos of ``nips17_sample`` whose class the pretrained network predicts, and number of all photos."""
    import csv

    from zoo.evaluation.trained import pretrained
    from zoo.images import load_image
    from zoo.registry import architectures

    architecture = architectures().get(name)
    model = pretrained(architecture, architecture.weights[0]).load()
    with (shared / "nips17_sample.reference.tsv").open(newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    right = 0
    for start in range(0, len(rows), 25):
        part = rows[start : start + 25]
        pixels = np.stack([load_image(shared / "nips17_sample" / row["file"], image) for row in part])
        answers = model.predict_on_batch(pixels.astype("float32")).argmax(1)
        right += int((answers == [int(row["true_index"]) for row in part]).sum())
    return right, len(rows)


if __name__ == "__main__":
    main()
