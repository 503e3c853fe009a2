"""Images/s of the feature pass of transfer learning, compared with ``model.predict`` of the same Keras model.

    python benchmarks/features.py photos/ --architecture mobilenetv2

zoo reads decoded images from the cache, runs the frozen backbone and writes the features to a temporary cache. Keras
runs ``predict`` in batches on a float32 array in memory. Both run in turn in one process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--architecture", default="mobilenetv2")
    parser.add_argument("--rounds", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZOO_CACHE_DIR"] = folder
        from zoo.data import load_data
        from zoo.registry import architectures
        from zoo.training.features import compute_features
        from zoo.training.model import build_model, split_model

        architecture = architectures().get(arguments.architecture)
        data = load_data(arguments.data, architecture.image)
        model = build_model(architecture, architecture.image.input_shape, len(data.labels))
        architecture.weights[0].load(model, False)
        backbone, _ = split_model(model, str(architecture.backbone))
        recipe = architecture.recipes["default"]
        images = data.pixels.read(np.arange(len(data.names))).astype(np.float32)
        backbone.predict(images[:32], batch_size=32, verbose=0)
        ours, theirs = [], []
        for number in range(arguments.rounds + 1):
            # Changing an unused weight changes the cache key of the features.
            backbone.weights[-1].assign(backbone.weights[-1] * (1 + 1e-6 * number))
            start = time.perf_counter()
            compute_features(backbone, data, recipe)
            middle = time.perf_counter()
            backbone.predict(images, batch_size=32, verbose=0)
            end = time.perf_counter()
            if number:  # the first round warms up both
                ours.append(len(images) / (middle - start))
                theirs.append(len(images) / (end - middle))
        ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
        print(
            f"ours {statistics.median(ours):.1f} images/s, predict {statistics.median(theirs):.1f}, ratio {ratio:.3f}"
        )


if __name__ == "__main__":
    main()
