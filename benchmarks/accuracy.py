"""Accuracy of ``simple_cnn`` with its default recipe, compared with the tutorial's pipeline in the same time.

    python benchmarks/accuracy.py photos/ --seeds 0 1 2

``photos/`` contains train/ and test/ with class folders. The time of ``zoo train`` is that of the whole command. The
tutorial's pipeline (arrays in memory, no augmentation, Adam) then trains on all of train/ for the same time, and is
evaluated at its end. Its learning rate is 1e-4, because with the tutorial's 1e-6 the weights hardly change.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from zoo.figures import percent

TUTORIAL = """
import os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import cv2, keras, numpy as np
from keras import layers
root, budget_s, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
start = time.perf_counter()

def load(split):
    x, y = [], []
    for number, label in enumerate(sorted(os.listdir(os.path.join(root, split)))):
        folder = os.path.join(root, split, label)
        for name in sorted(os.listdir(folder)):
            x.append(cv2.resize(cv2.imread(os.path.join(folder, name))[..., ::-1], (224, 224)))
            y.append(number)
    return np.array(x, np.float32) / 255, np.array(y)

(x, y), (x_test, y_test) = load("train"), load("test")
keras.utils.set_random_seed(seed)
model = keras.Sequential([keras.Input((224, 224, 3))])
for filters in (32, 32, 64):
    model.add(layers.Conv2D(filters, 3, padding="same", activation="relu"))
    model.add(layers.MaxPooling2D())
for layer in (layers.Dropout(0.4), layers.Flatten(), layers.Dense(128, activation="relu"),
              layers.Dense(int(y.max()) + 1, activation="softmax")):
    model.add(layer)
model.compile(optimizer=keras.optimizers.Adam(1e-4), loss="sparse_categorical_crossentropy", metrics=["accuracy"],
              jit_compile=False)
epochs = 0
while time.perf_counter() - start < budget_s:
    model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    epochs += 1
print(epochs, model.evaluate(x_test, y_test, verbose=0)[1])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--architecture", default="simple_cnn")
    arguments = parser.parse_args()
    ours, tutorial = [], []
    print("seed  ours    seconds  the tutorial's  epochs", flush=True)
    for seed in arguments.seeds:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "train", arguments.architecture]
            options = ["--data", str(arguments.data.resolve()), "--seed", str(seed), "--runs", folder]
            subprocess.run([*command, *options], check=True, capture_output=True)
            seconds = time.perf_counter() - start
            (metrics,) = Path(folder).glob("*/metrics.json")
            ours.append(json.loads(metrics.read_text())["accuracy"])
        done = subprocess.run(
            [sys.executable, "-c", TUTORIAL, str(arguments.data), f"{seconds:.1f}", str(seed)],
            check=True,
            capture_output=True,
            text=True,
        )
        epochs, accuracy = done.stdout.split()[-2:]
        tutorial.append(float(accuracy))
        print(f"{seed:>4}  {percent(ours[-1])}  {seconds:7.0f}  {percent(tutorial[-1]):>14}  {epochs:>6}", flush=True)
    print(f"mean  {percent(statistics.mean(ours))}           {percent(statistics.mean(tutorial)):>14}")


if __name__ == "__main__":
    main()
