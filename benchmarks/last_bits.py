"""Whether the outputs of Keras models depend on threads, on the processor, and on the position in a batch.

    python benchmarks/last_bits.py simple_cnn mobilenetv2

Each setting is a new process, which predicts the same images with the same random weights, in the batches of `zoo
evaluate`. The table shows the maximum difference of a probability from the first setting, and whether images that are
at another position of a batch have the same outputs. The settings are variables of TensorFlow and oneDNN for x86.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

COMMAND = """
import sys
import numpy as np
from zoo.backend import start_keras
start_keras()
import keras
from zoo.evaluation.predict import predict_inputs
from zoo.registry import architectures
random = np.random.default_rng(0)
images = random.integers(0, 256, (40, 224, 224, 3)).astype(np.uint8)
keras.utils.set_random_seed(1)
name = sys.argv[1]
model = (
    architectures().get(name).build((224, 224, 3), 10)
    if name in architectures() else getattr(keras.applications, name)(weights=None, classes=10)
)
np.save(sys.argv[2], predict_inputs(model, images, len(images)))
np.save(sys.argv[3], predict_inputs(model, images[3:], len(images)))
"""

SETTINGS = {
    "1 thread": {"TF_NUM_INTRAOP_THREADS": "1"},
    "2 threads": {"TF_NUM_INTRAOP_THREADS": "2"},
    "8 threads": {"TF_NUM_INTRAOP_THREADS": "8"},
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "AVX2, 1 thread": {"ONEDNN_MAX_CPU_ISA": "AVX2", "TF_NUM_INTRAOP_THREADS": "1"},
    "without oneDNN": {"TF_ENABLE_ONEDNN_OPTS": "0"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", help="Architectures of zoo or of keras.applications.")
    arguments = parser.parse_args()
    print(f"{'architecture':20} {'setting':16} {'max difference':>14}  other position in the batch")
    for name in arguments.names:
        first: np.ndarray | None = None
        for setting, variables in SETTINGS.items():
            outputs, shifted = measure(name, variables)
            first = outputs if first is None else first
            difference = float(np.abs(outputs - first).max())
            same = "same" if np.array_equal(outputs[3:], shifted) else f"{np.abs(outputs[3:] - shifted).max():.1e}"
            print(f"{name:20} {setting:16} {difference:14.1e}  {same}", flush=True)


def measure(name: str, variables: dict[str, str]) -> tuple[np.ndarray, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / file) for file in ("outputs.npy", "shifted.npy")]
        command = [sys.executable, "-c", COMMAND, name, *files]
        subprocess.run(command, env={**os.environ, **variables}, check=True, capture_output=True)
        outputs, shifted = (np.load(file) for file in files)
    return outputs, shifted


if __name__ == "__main__":
    main()
