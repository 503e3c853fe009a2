"""Compares a web bundle in headless Chromium with ONNX Runtime and OpenCV: pixels, predictions and speed.

    python benchmarks/browser.py runs/.../exports/mobilenetv2-web-float32 photos/

Every photo below the folder is decoded, resized and classified by the worker of the page, one after the other, and by
``zoo.images`` and ONNX Runtime on one thread. The times are those that the worker measures. Needs chromium and
playwright.
"""

from __future__ import annotations

import argparse
import base64
import http.server
import shutil
import statistics
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import sync_playwright

from zoo.edge.bundle import read_bundle
from zoo.edge.classify import Classifier, open_bundle
from zoo.images import ImageError
from zoo.registry import exporters

OPEN = """async () => {
  const { Worker } = await import("./page/worker_client.js");
  globalThis.zooWorker = new Worker(() => {});
  await globalThis.zooWorker.ask("open");
}"""
CLASSIFY = """async (content) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const { probabilities, pixels, times } = await globalThis.zooWorker.ask("classify", new Blob([bytes]));
  const text = Array.from(pixels.data, (value) => String.fromCharCode(value)).join("");
  return { probabilities: [...probabilities], pixels: btoa(text), times };
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--most", type=int, default=1000, help="photos, evenly chosen")
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.bundle)
    classifier = open_bundle(bundle, exporters().get(bundle.values["format"]).load)
    files = sorted(path for path in arguments.photos.rglob("*") if path.is_file())
    files = files[:: -(-len(files) // arguments.most)]
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(arguments.bundle)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_selector("body[data-selftest=passed]", timeout=120_000)
        page.evaluate(OPEN)
        compare(page, classifier, files)
        print(f"Chromium {browser.version}")
        browser.close()


def compare(page: Any, classifier: Classifier, files: list[Path]) -> None:
    levels, means, probabilities, flips, skipped = [], [], [], 0, []
    times: dict[str, list[float]] = {"decode": [], "resize": [], "model": [], "ONNX Runtime": []}
    for path in files:
        try:
            expected = classifier.pixels(path)
            made = page.evaluate(CLASSIFY, base64.b64encode(path.read_bytes()).decode())
        except (ImageError, PlaywrightError) as error:  # the latter contains the text of the page
            skipped.append(f"{path.name}: {str(error).splitlines()[0]}")
            continue
        start = time.perf_counter()
        answer = classifier.probabilities(expected)
        times["ONNX Runtime"].append((time.perf_counter() - start) * 1000)
        pixels = np.frombuffer(base64.b64decode(made["pixels"]), np.uint8).reshape(expected.shape)
        difference = np.abs(pixels.astype(int) - expected)
        levels.append(int(difference.max()))
        means.append(float(difference.mean()))
        probabilities.append(float(np.abs(np.array(made["probabilities"]) - answer).max()))
        flips += int(np.argmax(made["probabilities"])) != int(answer.argmax())
        for name, value in made["times"].items():
            times[name].append(value)
    print(f"{len(levels)} photos; {len(skipped)} skipped {skipped[:3]}")
    off = np.count_nonzero(levels)
    print(f"pixels: largest difference {max(levels)}, mean {np.mean(means):.2g}, photos that differ {off}")
    print(f"probabilities: largest difference {max(probabilities):.2g}, other label on {flips}")
    print(", ".join(f"{name} {statistics.median(taken):.2f} ms" for name, taken in times.items()))


if __name__ == "__main__":
    main()
