"""Start-up time, memory and overhead of a bundle's runner, compared with a minimal script of the same runtime.

    python benchmarks/edge_startup.py BUNDLE... --photo photo.jpg

For each bundle, two programs run in turn, each in a new process: ``python run.py photo.jpg``, and a script that imports
NumPy, OpenCV and the runtime and predicts one photo. Then, within one process, ``classify`` is compared with its parts,
decoding and the model. The difference is the runner's own time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

MINIMAL = {
    "onnx": """
import sys, numpy as np, cv2, onnxruntime
options = onnxruntime.SessionOptions()
session = onnxruntime.InferenceSession(sys.argv[1], options)
image = cv2.resize(cv2.cvtColor(cv2.imread(sys.argv[2]), cv2.COLOR_BGR2RGB), SIDE, interpolation=cv2.INTER_AREA)
print(session.run(None, {"image": image[None].astype(DTYPE)})[0].argmax(), flush=True)
""",
    "tflite": """
import sys, numpy as np, cv2
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
image = cv2.resize(cv2.cvtColor(cv2.imread(sys.argv[2]), cv2.COLOR_BGR2RGB), SIDE, interpolation=cv2.INTER_AREA)
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None].astype(DTYPE))
interpreter.invoke()
print(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0].argmax(), flush=True)
""",
}

# Memory of this process alone, without that of the parent.
PEAK = """
import pathlib, re
held = re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]
print("PEAK", int(held) * 1024, file=sys.stderr)
"""

RUN = """
import runpy, sys
del sys.argv[0]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
"""

OVERHEAD = """
import json, pathlib, statistics, sys, time
sys.path.insert(0, sys.argv[1])
import cv2
cv2.setNumThreads(1)
from runner.edge.bundle import read_bundle
from runner.edge.classify import open_bundle
from runner.images import load_image
from runner.runtime import load
bundle = read_bundle(pathlib.Path(sys.argv[1]))
classifier = open_bundle(bundle, load)
path = pathlib.Path(sys.argv[2])
rest, whole = [], []
clock = time.perf_counter
for turn in range(int(sys.argv[3]) + 20):
    start = clock()
    classifier.classify(path, 5)
    between = clock()
    pixels = load_image(path, bundle.image)
    decoded = clock()
    classifier.runtime.predict(pixels[None])
    end = clock()
    if turn >= 20:
        whole.append((between - start) * 1000)
        rest.append((end - between) * 1000)
own = statistics.median(one - other for one, other in zip(whole, rest))
print(json.dumps([statistics.median(whole), own]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--photo", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    print("| bundle | run.py s | minimal s | ratio | ratio of minima | run.py MB | minimal MB | an image ms | own ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for bundle in arguments.bundles:
        print(row(bundle.resolve(), arguments.photo.resolve(), arguments.rounds), flush=True)


def row(bundle: Path, photo: Path, rounds: int) -> str:
    spec = json.loads((bundle / "spec.json").read_text())
    side = (spec["image"]["width_px"], spec["image"]["height_px"])
    minimal = MINIMAL[spec["format"]].replace("SIDE", repr(side)).replace("DTYPE", repr(spec["input"]["dtype"]))
    model = str(bundle / spec["model"])
    commands = {
        "run.py": [str(bundle / "run.py"), str(photo)],
        "minimal": ["-c", minimal, model, str(photo)],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 2):
        for name, command in commands.items():
            seconds = until_answer([sys.executable, *command])
            if turn >= 2:  # the first runs fill the caches of files and of compiled modules
                taken[name].append(seconds)
    peaks = {
        "run.py": peak_mb([sys.executable, "-c", RUN + PEAK, *commands["run.py"]]),
        "minimal": peak_mb([sys.executable, "-c", minimal + PEAK, model, str(photo)]),
    }
    medians = {name: statistics.median(found) for name, found in taken.items()}
    ratio = medians["run.py"] / medians["minimal"]
    of_minima = min(taken["run.py"]) / min(taken["minimal"])
    command = [sys.executable, "-c", OVERHEAD, str(bundle), str(photo), "300"]
    done = subprocess.run(command, capture_output=True, check=True)
    whole, own = json.loads(done.stdout)
    return (
        f"| {bundle.name} | {medians['run.py']:.3f} | {medians['minimal']:.3f} | {ratio:.3f} | {of_minima:.3f} "
        f"| {peaks['run.py']:.0f} | {peaks['minimal']:.0f} | {whole:.2f} | {own:.3f} |"
    )


def until_answer(command: list[str]) -> float:
    """Seconds from the start of the process to its first line of output."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        _, said = process.communicate()
    if process.returncode or not line:
        sys.exit(said.decode())
    return seconds


def peak_mb(command: list[str]) -> float:
    done = subprocess.run(command, capture_output=True, check=True)
    (line,) = [line for line in done.stderr.decode().splitlines() if line.startswith("PEAK")]
    return int(line.split()[1]) / 1e6


if __name__ == "__main__":
    main()
