"""Images/s of training with augmentation, compared with Keras ``fit`` on arrays in memory without augmentation.

    python benchmarks/throughput.py photos/ --size 224

Both train simple_cnn with Adam on the same images in the same process, one epoch of each in turn, so that a slow moment
of the machine affects both. zoo trains on the batches of its harness (cache, augmentation ``strong``, threads).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import keras
import numpy as np

from zoo import ImageSpec, Recipe
from zoo.data import TRAIN, load_data
from zoo.registry import architectures
from zoo.training.batches import Batch, TrainingBatches
from zoo.training.model import build_model, compile_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    data = load_data(arguments.data, ImageSpec(height_px=arguments.size, width_px=arguments.size))
    indices = data.indices(TRAIN)
    recipe = Recipe(optimizer="adam", augmentation="strong", class_weights="none", batch_size=32)
    batches = TrainingBatches(data, indices, recipe, seed=0)
    images = data.pixels.read(indices).astype(np.float32)
    targets = np.eye(len(data.labels), dtype=np.float32)[data.classes[indices]]
    architecture = architectures().get("simple_cnn")

    def compiled(precision: str) -> keras.Model:
        model = build_model(architecture, data.spec.input_shape, len(data.labels), {}, precision)
        compile_model(model, recipe, batches.steps)
        return model

    plain, ours, ours_bfloat16 = compiled("float32"), compiled("float32"), compiled("mixed_bfloat16")
    streams = {id(model): batches.stream(0) for model in (ours, ours_bfloat16)}

    def plain_epoch() -> None:
        plain.fit(images, targets, batch_size=32, epochs=1, verbose=0)

    def our_epoch(model: keras.Model) -> None:
        stream: Iterator[Batch] = streams[id(model)]
        model.fit(stream, steps_per_epoch=batches.steps, epochs=1, verbose=0, shuffle=False)

    speeds: dict[str, list[float]] = {"plain fit": [], "ours float32": [], "ours mixed_bfloat16": []}
    jobs = [plain_epoch, lambda: our_epoch(ours), lambda: our_epoch(ours_bfloat16)]
    for epoch in range(arguments.epochs + 1):
        for name, job in zip(speeds, jobs, strict=True):
            start = time.perf_counter()
            job()
            if epoch:  # the first step compiles and warms up
                speeds[name].append(len(indices) / (time.perf_counter() - start))
    base = statistics.median(speeds["plain fit"])
    print(f"{len(indices)} images, {arguments.size} px, batch 32, {arguments.epochs} epochs of each in turn")
    for name, values in speeds.items():
        middle = statistics.median(values)
        print(f"{name:<20} {middle:7.1f} img/s  ratio {middle / base:.2f}  ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
