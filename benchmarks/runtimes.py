"""Exported files in other runtimes: labels equal to those of Keras, and the largest difference of a probability.

    python benchmarks/runtimes.py runs/mobilenetv2-20261128-054922 --photos photos/ --work /tmp/runtimes

The run is exported to TFLite and ONNX without verification, to a folder below ``--work``, where a second call finds the
files. Every runtime predicts the same pixels, which ``zoo.images`` computes from the photos. Each runtime is a separate
process. Runtimes that this environment does not have are installed by pip or npm, each to a separate folder below
``--work``; if this fails, the runtime is skipped with the reason. ONNX Runtime 1.13.1 has wheels up to Python 3.10;
pass such an interpreter with ``--old-python``. The runtimes for browsers need chromium and playwright.
"""

from __future__ import annotations

import argparse
import base64
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser import litert_js

Pixels = NDArray[np.uint8]
Answers = NDArray[np.float64]

START = """
import sys, numpy
file, pixels = sys.argv[1], numpy.load(sys.argv[2])
if "int8" not in file.split("/")[-2]:
    pixels = pixels.astype("float32")
"""
END = """
numpy.save(sys.argv[3], numpy.array(answers))
print("VERSION", version)
"""

ONNXRUNTIME = """
import onnxruntime
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
options.add_session_config_entry("session.x64quantprecision", "1")  # no overflow without VNNI
session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
answers = [session.run(None, {"image": image[None]})[0][0] for image in pixels]
version = onnxruntime.__version__
"""
OPENVINO = """
import openvino
model = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
answers = [list(model([image[None]]).values())[0][0] for image in pixels]
version = openvino.__version__.split("-")[0]
"""
TRACT = """
import tract
kind = "u8" if pixels.dtype == "uint8" else "f32"
model = tract.onnx().load(file)
model.set_input_fact(0, ",".join(map(str, (1, *pixels.shape[1:], kind))))
model = model.into_model().into_runnable()
answers = [model.run([image[None]])[0].to_numpy()[0] for image in pixels]
version = tract.version()
"""
OPENCV_ONNX = """
import cv2
net = cv2.dnn.readNetFromONNX(file)
answers = []
for image in pixels:
    net.setInput(image[None], "image")
    answers.append(net.forward()[0].copy())
version = cv2.__version__
"""
OPENCV_TFLITE = """
import cv2
net = cv2.dnn.readNetFromTFLite(file)
answers = []
for image in pixels:
    net.setInput(cv2.dnn.blobFromImage(image))  # channels first
    answers.append(net.forward()[0].copy())
version = cv2.__version__
"""
LITERT = """
import importlib.metadata
from ai_edge_litert.interpreter import Interpreter
serve = Interpreter(model_path=file).get_signature_runner("serving_default")
answers = [serve(image=image[None])["probabilities"][0] for image in pixels]
version = importlib.metadata.version("ai-edge-litert")
"""
MEDIAPIPE = """
for name in ("tensorflow", "jax", "torch"):
    sys.modules[name] = None  # MediaPipe imports them if they exist, and works without them
import json, zipfile
import mediapipe
from mediapipe.tasks.python import BaseOptions, vision
labels = json.loads(zipfile.ZipFile(file).read("zoo.json"))["labels"]
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=file), max_results=-1)
answers = []
with vision.ImageClassifier.create_from_options(options) as classifier:
    for image in pixels.astype("uint8"):
        made = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.ascontiguousarray(image))
        (head,) = classifier.classify(made).classifications
        scores = {found.category_name: found.score for found in head.categories}
        answers.append([scores[label] for label in labels])
version = mediapipe.__version__
"""


@dataclass(frozen=True)
class Runtime:
    """A runtime that reads exported files.

    Args:
        name: Name in the table.
        format: Format of the files that it reads.
        script: Computes ``answers`` and ``version`` from ``file`` and ``pixels``.
        install: Packages that pip installs into a new folder. Empty if this environment has them.
        old: Whether it needs the old Python.
    """

    name: str
    format: str
    script: str
    install: tuple[str, ...] = ()
    old: bool = False


RUNTIMES = (
    Runtime("ONNX Runtime", "onnx", ONNXRUNTIME),
    Runtime("ONNX Runtime", "onnx", ONNXRUNTIME, ("onnxruntime==1.15.0", "numpy<2")),
    Runtime("ONNX Runtime", "onnx", ONNXRUNTIME, ("onnxruntime==1.13.1", "numpy<2"), old=True),
    Runtime("OpenVINO", "onnx", OPENVINO, ("openvino",)),
    Runtime("tract", "onnx", TRACT, ("tract",)),
    Runtime("OpenCV dnn", "onnx", OPENCV_ONNX),
    Runtime("LiteRT", "tflite", LITERT),
    Runtime("MediaPipe Tasks", "tflite", MEDIAPIPE, ("--no-deps", "mediapipe", "absl-py", "flatbuffers")),
    Runtime("OpenVINO", "tflite", OPENVINO, ("openvino",)),
    Runtime("OpenCV dnn", "tflite", OPENCV_TFLITE),
)

WEB_RELEASE = "1.30.0"
ONNXRUNTIME_WEB = """async ([file, pixels, count, shape]) => {
  const ort = await import("./node_modules/onnxruntime-web/dist/ort.wasm.bundle.min.mjs");
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  const bytes = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
  const size = bytes.length / count;
  const rows = [];
  for (let place = 0; place < count; place += 1) {
    const image = bytes.slice(place * size, (place + 1) * size);
    const input = file.includes("int8")
      ? new ort.Tensor("uint8", image, [1, ...shape])
      : new ort.Tensor("float32", Float32Array.from(image), [1, ...shape]);
    const { probabilities } = await session.run({ image: input });
    rows.push([...probabilities.data]);
  }
  return rows;
}"""


class SkippedError(Exception):
    """A runtime cannot be measured; the message contains the reason."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--photos", type=Path, required=True, help="a folder; photos at any depth below it are used")
    parser.add_argument("--work", type=Path, required=True, help="folder for runtimes and exported files")
    parser.add_argument("--most", type=int, default=60, help="photos, evenly chosen")
    parser.add_argument("--precision", nargs="+", default=["float32", "int8"])
    parser.add_argument("--old-python", help="a Python 3.10")
    arguments = parser.parse_args()
    for run in arguments.runs:
        folder = arguments.work / "exports" / run.name
        folder.mkdir(parents=True, exist_ok=True)
        compare(run, folder.resolve(), arguments)


def compare(run: Path, folder: Path, arguments: argparse.Namespace) -> None:
    missing = [name for name in arguments.precision if len(list(folder.glob(f"*-{name}/"))) < 2]
    if missing:
        wanted = [part for name in missing for part in ("--precision", name)]
        command = [sys.executable, "-c", "from zoo.cli.main import main; main()", "export", str(run), *wanted]
        subprocess.run([*command, "--no-verify", "--out", str(folder)], check=True, capture_output=True)
    expected = predict_with_keras(run, photos(arguments.photos, arguments.most), folder)
    print(f"\n{run.name}, {len(expected)} photos\n")
    print("| runtime | file | labels equal to Keras | largest difference |\n|---|---|---|---|")
    for precision in arguments.precision:
        files = {
            path.suffix[1:]: path for path in folder.glob(f"*-{precision}/*") if path.suffix in (".onnx", ".tflite")
        }
        for runtime in RUNTIMES:
            tell(runtime.name, runtime.format, precision, expected, lambda: predict(runtime, files, folder, arguments))  # noqa: B023
        with browser_page(folder, arguments.work) as page:
            for name, kind in (("ONNX Runtime Web", "onnx"), ("LiteRT.js", "tflite")):
                tell(name, kind, precision, expected, lambda: predict_in_browser(page, kind, files[kind], folder))  # noqa: B023


def photos(folder: Path, most: int) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    places = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[place] for place in places]


def predict_with_keras(run: Path, files: list[Path], folder: Path) -> Answers:
    from zoo.evaluation.trained import of_run
    from zoo.images import load_image
    from zoo.run_folder import open_run

    trained = of_run(open_run(run))
    pixels = np.stack([load_image(path, trained.image) for path in files])
    np.save(folder / "pixels.npy", pixels)
    model = trained.load()
    return np.concatenate([np.asarray(model(image[None].astype("float32"), training=False)) for image in pixels])


def tell(name: str, kind: str, precision: str, expected: Answers, ask: Any) -> None:
    try:
        answers, version = ask()
    except SkippedError as error:
        print(f"| {name} | {kind} {precision} | - | {error} |", flush=True)
        return
    equal = int((answers.argmax(axis=1) == expected.argmax(axis=1)).sum())
    difference = np.abs(answers - expected).max()
    print(f"| {name} {version} | {kind} {precision} | {equal} of {len(expected)} | {difference:.2g} |", flush=True)


def predict(
    runtime: Runtime, files: dict[str, Path], folder: Path, arguments: argparse.Namespace
) -> tuple[Answers, str]:
    python = arguments.old_python if runtime.old else sys.executable
    if python is None:
        raise SkippedError(f"{runtime.install[0]} needs --old-python")
    place = installed(runtime, arguments.work, python) if runtime.install else None
    command = [
        python,
        "-c",
        START + runtime.script + END,
        str(files[runtime.format]),
        folder / "pixels.npy",
        folder / "answers.npy",
    ]
    environment = os.environ | ({"PYTHONPATH": str(place)} if place else {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise SkippedError("fails: " + next((line for line in reversed(lines) if "rror" in line), lines[-1])[:160])
    version = next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("VERSION"))
    return np.load(folder / "answers.npy"), version


def installed(runtime: Runtime, packages: Path, python: str) -> Path:
    package = next(part for part in runtime.install if not part.startswith("-"))
    place = packages / package.replace("==", "-")
    if not place.is_dir():
        command = [python, "-m", "pip", "install", "--quiet", "--target", str(place), *runtime.install]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(place, ignore_errors=True)
            raise SkippedError(f"pip cannot install {package}: {' '.join(done.stderr.split())[-120:]}")
    return place


@contextmanager
def browser_page(folder: Path, packages: Path) -> Iterator[Any]:
    """A page of Chromium in the folder of the exported files. ``None`` if npm, Chromium or Playwright are missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        yield None
        return
    chromium, place = shutil.which("chromium"), packages / "npm"
    if not (place / "node_modules").is_dir():
        wanted = [f"{litert_js.PACKAGE}@{litert_js.RELEASE}", f"onnxruntime-web@{WEB_RELEASE}"]
        subprocess.run(
            ["npm", "install", "--ignore-scripts", "--prefix", str(place), *wanted], check=False, capture_output=True
        )
    if chromium is None or not (place / "node_modules").is_dir():
        yield None
        return
    if not (folder / "litert.html").exists():
        litert_js.prepare(folder, place)
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = started.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/litert.html")
        yield page
        started.close()
    server.shutdown()


def predict_in_browser(page: Any, kind: str, file: Path, folder: Path) -> tuple[Answers, str]:
    from playwright.sync_api import Error

    if page is None:
        raise SkippedError("needs npm, chromium and playwright")
    name, pixels = str(file.relative_to(folder)), np.load(folder / "pixels.npy")
    try:
        if kind == "tflite":
            return litert_js.predict(page, name, pixels), litert_js.RELEASE
        content = base64.b64encode(pixels.tobytes()).decode()
        rows = page.evaluate(ONNXRUNTIME_WEB, [name, content, len(pixels), list(pixels.shape[1:])])
        return np.array(rows), WEB_RELEASE
    except Error as error:
        raise SkippedError(f"fails: {str(error).splitlines()[0][:160]}") from error


if __name__ == "__main__":
    main()
