"""Photos per second and peak memory of ``zoo predict`` on a bundle, compared with a plain loop of the same runtime.

    python benchmarks/predict.py BUNDLE PHOTOS --count 5000

The loop is the simplest possible program: the runtime with its default options, ``cv2.imread`` and ``cv2.resize``, one
photo after the other. In a second loop, the runtime uses a single thread. Each program runs in a new process, in turn,
and is timed from start to end. Each photo is linked into a temporary folder repeatedly, until the count is reached. CPU
time is the sum over all cores for one photo. On a machine that is busy with other work, it is more reliable than
elapsed time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from zoo.edge.bundle import read_bundle

PEAK = "\nfrom zoo.edge.machine import peak_memory_bytes\nprint('PEAK', peak_memory_bytes(), file=sys.stderr)\n"

ZOO = """
import sys
from zoo.cli.main import main
sys.argv = ["zoo", "predict", *sys.argv[1:], "--json"]
try:
    main()
except SystemExit as end:
    assert end.code in (0, 4), end.code
"""

LOOP = """
import json, sys
from pathlib import Path
import cv2

model, photos, labels, side, threads = sys.argv[1], sys.argv[2], *map(json.loads, sys.argv[3:])
{load}
for path in sorted(path for path in Path(photos).rglob("*") if path.is_file()):
    picture = cv2.imread(str(path))
    if picture is None:
        continue
    pixels = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), side, interpolation=cv2.INTER_AREA)
    answer = ask(pixels[None].astype(dtype))[0]
    print(json.dumps({{"file": str(path), "label": labels[answer.argmax()], "probability": float(answer.max())}}))
"""

LOAD = {
    "onnx": """
import onnxruntime
from zoo_onnx.runtime import products_overflow
options = onnxruntime.SessionOptions()
if threads:
    options.intra_op_num_threads = threads
if products_overflow():
    options.add_session_config_entry("session.x64quantprecision", "1")  # as in our runner
session = onnxruntime.InferenceSession(model, options)
dtype = "uint8" if "uint8" in session.get_inputs()[0].type else "float32"
ask = lambda image: session.run(None, {"image": image})[0]
""",
    "tflite": """
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model, num_threads=threads or None)
interpreter.allocate_tensors()
(image_in,), (answer_out,) = interpreter.get_input_details(), interpreter.get_output_details()
dtype = image_in["dtype"]
def ask(image):
    interpreter.set_tensor(image_in["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(answer_out["index"])
""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.bundle)
    with tempfile.TemporaryDirectory(prefix="zoo-photos-") as folder:
        link(arguments.photos, Path(folder), arguments.count)
        loop = LOOP.format(load=LOAD[str(bundle.values["format"])])
        side = [bundle.image.width_px, bundle.image.height_px]
        given = [str(bundle.model_path), folder, json.dumps(bundle.labels), json.dumps(side)]
        commands = {
            "plain loop, the runtime's own threads": [loop, *given, "0"],
            "plain loop, one thread": [loop, *given, "1"],
            "zoo predict": [ZOO, str(arguments.bundle), folder],
        }
        speeds: dict[str, list[float]] = {name: [] for name in commands}
        cpu: dict[str, list[float]] = {name: [] for name in commands}
        peaks = dict.fromkeys(commands, 0.0)
        for _ in range(arguments.rounds):
            for name, (code, *rest) in commands.items():
                speed, peak_mb, cpu_ms = timed(code, rest, arguments.count)
                speeds[name].append(speed)
                cpu[name].append(cpu_ms)
                peaks[name] = max(peaks[name], peak_mb)
    cores = len(os.sched_getaffinity(0))
    print(f"{bundle.model}, {arguments.count} photos, {cores} cores, median of {arguments.rounds}\n")
    print("| | photos/s | CPU ms a photo | peak MB | zoo predict is faster by |")
    print("|---|---|---|---|---|")
    ours = speeds["zoo predict"]
    for name, found in speeds.items():
        ratio = statistics.median(mine / other for mine, other in zip(ours, found, strict=True))
        cells = f"{statistics.median(found):.1f} | {statistics.median(cpu[name]):.2f} | {peaks[name]:.0f} | {ratio:.2f}"
        print(f"| {name} | {cells} |")


def link(source: Path, folder: Path, count: int) -> None:
    photos = sorted(path.resolve() for path in source.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not photos:
        sys.exit(f"There are no photos in {source}.")
    for number, photo in zip(range(count), itertools.cycle(photos), strict=False):
        place = folder / f"{number // 1000:03d}" / f"{number:06d}{photo.suffix}"
        place.parent.mkdir(exist_ok=True)
        try:
            place.hardlink_to(photo)
        except OSError:  # on another disk
            place.symlink_to(photo)


def timed(code: str, arguments: list[str], count: int) -> tuple[float, float, float]:
    """Photos per second, peak memory in MB, and milliseconds of CPU time per photo."""
    command = [sys.executable, "-c", code + PEAK, *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    taken = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    if done.returncode:
        sys.exit(done.stderr.decode())
    answered = done.stdout.count(b'"probability"') and len(done.stdout.splitlines())
    if answered < count * 0.9:
        sys.exit(f"Only {answered} of {count} photos were predicted.\n{done.stderr.decode()}")
    peak = next(line for line in reversed(done.stderr.decode().splitlines()) if line.startswith("PEAK"))
    return count / taken, int(peak.split()[1]) / 1e6, cpu_s / count * 1000


if __name__ == "__main__":
    main()
