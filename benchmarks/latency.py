"""Milliseconds for one image of several model files, in turn in one process.

    python benchmarks/latency.py ours.onnx theirs.onnx ours.tflite --threads 1

The files are measured in turn, so that a slow moment of the machine affects all of them. ONNX files run on ONNX
Runtime, TFLite files on LiteRT, without code of zoo, but with the session option that its runner sets. The input of
each file has its own type and shape, and is filled with the same pixels. The ratios are relative to the first file.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument(
        "--uint8", action="store_true", help="set session.x64quantprecision on all processors, not only where needed"
    )
    arguments = parser.parse_args()
    models = {file: load(file, arguments.threads, arguments.uint8) for file in arguments.files}
    times: dict[str, list[float]] = {file: [] for file in models}
    for number in range(arguments.rounds + 20):
        for file, run in models.items():
            start = time.perf_counter()
            run()
            if number >= 20:
                times[file].append((time.perf_counter() - start) * 1000)
    first = times[arguments.files[0]]
    print("| file | p10 ms | median ms | p95 ms | ratio of medians | median ratio of a round |")
    print("|---|---|---|---|---|---|")
    for file, taken in times.items():
        low, high = np.percentile(taken, [10, 95])
        ratio = statistics.median(mine / other for mine, other in zip(taken, first, strict=True))
        print(
            f"| {file} | {low:.2f} | {statistics.median(taken):.2f} | {high:.2f} "
            f"| {statistics.median(taken) / statistics.median(first):.3f} | {ratio:.3f} |"
        )


def load(file: str, threads: int, uint8: bool) -> Callable[[], object]:
    return load_onnx(file, threads, uint8) if file.endswith(".onnx") else load_tflite(file, threads)


def load_onnx(file: str, threads: int, uint8: bool) -> Callable[[], object]:
    import onnxruntime
    from zoo_onnx.runtime import products_overflow

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if uint8 or products_overflow():
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    pixels = make_pixels(image.shape, "uint8" if "uint8" in image.type else "float32")
    return lambda: session.run(None, {image.name: pixels})


def load_tflite(file: str, threads: int) -> Callable[[], object]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=file, num_threads=threads)
    interpreter.allocate_tensors()
    (image,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    pixels = make_pixels(image["shape"].tolist(), np.dtype(image["dtype"]).name)

    def run() -> object:
        interpreter.set_tensor(image["index"], pixels)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    return run


def make_pixels(shape: list[object], dtype: str) -> np.ndarray:
    sides = [side if isinstance(side, int) and side > 0 else 1 for side in shape]
    return np.random.default_rng(0).integers(0, 256, sides).astype(dtype)


if __name__ == "__main__":
    main()
