"""Measures conformance, export and latency of every architecture of this plugin for the table of the README.

    python benchmarks/table.py [NAME ...]          measures what is missing, smallest network first; takes hours
    python benchmarks/table.py --failed [NAME ...]     repeats checks that failed or have no result
    python benchmarks/table.py --latency [NAME ...]    repeats only the latencies, on an idle machine
    python benchmarks/table.py --write             writes the table from benchmarks/results.json into README.md

Every architecture is measured in its own process, with random weights: conformance checks train them on one batch, and
neither time nor size depends on their values. An interrupted run continues where it stopped. Float32 files are kept in
``--files`` (2 x 4 bytes per parameter, 11 GB in total), so that ``--latency`` only has to load them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from zoo_keras_applications import architecture
from zoo_keras_applications.applications import APPLICATIONS, Application

HERE = Path(__file__).parent
RESULTS, README = HERE / "results.json", HERE.parent / "README.md"
BEGIN, END = "<!-- table: benchmarks/table.py -->", "<!-- end of table -->"

FORMATS = ("onnx", "tflite")
SECONDS_A_PART = 6 * 3600

#: Millions of parameters above which int8 is not checked, because rounding so many weights takes hours.
INT8_UP_TO = 50.0
ROUNDS, SECONDS = 30, 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--failed", action="store_true")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--files", type=Path, default=Path(tempfile.gettempdir()) / "zoo-keras-applications")
    parser.add_argument("--one", choices=("conformance", "files", "latency"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        (name,) = arguments.names
        application = next(each for each in APPLICATIONS if each.name == name)
        parts = {"conformance": conformance, "files": files, "latency": latency}
        print(json.dumps(parts[arguments.one](application, arguments.files)))
    elif arguments.write:
        write()
    elif arguments.failed:
        measure_failed(arguments.names, arguments.files)
    else:
        measure(arguments.names, arguments.files, again=arguments.latency)


def measure(names: list[str], folder: Path, again: bool) -> None:
    known = {application.name for application in APPLICATIONS}
    if unknown := set(names) - known:
        sys.exit(f"Unknown: {', '.join(sorted(unknown))}")
    folder.mkdir(parents=True, exist_ok=True)
    for application in sorted(APPLICATIONS, key=lambda each: each.parameters * each.size_px):
        if names and application.name not in names:
            continue
        for part in ("files", "latency") if again else ("conformance", "files", "latency"):
            row = results().get(application.name, {})
            files_gone = part == "files" and not all(_path(folder, application, each).is_file() for each in FORMATS)
            if part in row and not files_gone and not (again and part == "latency"):
                continue
            start = time.perf_counter()
            found = _run(part, application.name, folder)
            stored = results()
            stored.setdefault(application.name, {})[part] = found
            RESULTS.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
            print(f"{application.name} {part}: {time.perf_counter() - start:.0f} s", flush=True)


def measure_failed(names: list[str], folder: Path) -> None:
    for name, row in sorted(results().items()):
        found = row.get("conformance", {})
        if names and name not in names or not any(each.get("status") == "failed" for each in found.values()):
            continue
        start = time.perf_counter()
        stored = results()
        stored[name]["conformance"] |= _run("conformance", name, folder)
        RESULTS.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n")
        print(f"{name} failed checks: {time.perf_counter() - start:.0f} s", flush=True)


def results() -> dict[str, Any]:
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def _run(part: str, name: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", part, "--files", str(folder), name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_A_PART, check=False)
    except subprocess.TimeoutExpired:
        return {"error": f"not done after {SECONDS_A_PART} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]}
    return json.loads(done.stdout.splitlines()[-1])


def conformance(application: Application, folder: Path) -> dict[str, Any]:
    from zoo.testing import check_names, run_checks

    known = results().get(application.name, {}).get("conformance", {})
    asked = [name for name in check_names() if application.parameters <= INT8_UP_TO or not name.endswith("_int8")]
    asked = [name for name in asked if known.get(name, {}).get("status") in (None, "failed")]
    found = run_checks(architecture(application), checks=asked)
    return {
        result.name: {"status": result.status, "seen": result.seen, "reason": result.reason, "seconds": result.seconds}
        for result in found
    }


def files(application: Application, folder: Path) -> dict[str, Any]:
    """Exports float32 files (1000 classes, the architecture's own size), and compares them with Keras on noise."""
    import keras
    import numpy as np
    from zoo.exporting.fold import fold
    from zoo.registry import exporters
    from zoo.testing.fitted import settle_batch_norm

    keras.utils.set_random_seed(0)
    record = architecture(application)
    model = record.build(record.image.input_shape, 1000)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (4, *record.image.input_shape)).astype(np.uint8)
    settle_batch_norm(model, images)
    # With the small initial weights of the head, all probabilities would be 0.001. The head gets the spread of a
    # trained one.
    head = model.get_layer("probabilities")
    features = keras.Model(model.inputs, model.get_layer(record.backbone).output).predict(images, verbose=0)
    kernel = random.normal(size=head.kernel.shape)
    head.kernel.assign(kernel * 4 / max(1e-6, float((features @ kernel).std())))
    expected = model.predict(images, verbose=0)
    folded = fold(model)
    measured: dict[str, Any] = {"parameters": model.count_params(), "largest_probability": float(expected.max())}
    for name in FORMATS:
        path = _path(folder, application, name)
        exporter = exporters().get(name)
        exporter.convert(folded, path, "float32")
        answers = exporter.load(path, 1).predict(images)
        measured[name] = {"bytes": path.stat().st_size, "max_difference": float(np.abs(answers - expected).max())}
    return measured


def latency(application: Application, folder: Path) -> dict[str, Any]:
    """Latency of one image on one thread in milliseconds: the median of rounds in which the formats alternate."""
    import numpy as np
    from zoo.registry import exporters

    side = application.size_px
    image = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.uint8)
    runtimes = {name: exporters().get(name).load(_path(folder, application, name), 1) for name in FORMATS}
    times: dict[str, list[float]] = {name: [] for name in FORMATS}
    for runtime in runtimes.values():
        runtime.predict(image)
    begin = time.perf_counter()
    while len(times[FORMATS[0]]) < ROUNDS and (time.perf_counter() - begin < SECONDS or len(times[FORMATS[0]]) < 3):
        for name, runtime in runtimes.items():
            start = time.perf_counter()
            runtime.predict(image)
            times[name].append((time.perf_counter() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()} | {"processor": _processor()}


def _path(folder: Path, application: Application, name: str) -> Path:
    return folder / f"{application.name}.{name}"


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def write() -> None:
    text = README.read_text()
    head, rest = text.split(BEGIN)
    README.write_text(f"{head}{BEGIN}\n{table()}{END}{rest.split(END)[1]}")


def table() -> str:
    lines = [
        "| architecture | 10^6 parameters | px | checks | difference, ONNX / TFLite | float32 MB | int8 MB | ms, ONNX / TFLite |",
        "|---|---|---|---|---|---|---|---|",
    ]
    notes: list[str] = []
    stored = results()
    for application in APPLICATIONS:
        row = stored.get(application.name, {})
        cells = [f"`{application.name}`", f"{application.parameters}", f"{application.size_px}"]
        cells += [_checks(application, row.get("conformance"), notes), *_files(row), _int8(row), _latency(row)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines + [""] + notes + [""] * bool(notes))


def _checks(application: Application, found: dict[str, Any] | None, notes: list[str]) -> str:
    if not found or "error" in found:
        return "not measured" if not found else f"not finished: {found['error']}"
    asked = {name: result for name, result in found.items() if result["status"] != "skipped"}
    passed = [name for name, result in asked.items() if result["status"] == "passed"]
    without = "" if any(name.endswith("_int8") for name in found) else ", int8 not checked"
    if len(passed) == len(asked):
        return f"all {len(asked)}{without}"
    for name, result in asked.items():
        if name not in passed:
            notes.append(f"- `{application.name}`, `{name}`: {result['status'].replace('_', ' ')}. {result['reason']}.")
    return f"{len(passed)} of {len(asked)}{without}"


def _files(row: dict[str, Any]) -> list[str]:
    found = row.get("files", {})
    if not all(name in found for name in FORMATS):
        return ["-", "-"]
    differences = " / ".join(f"{found[name]['max_difference']:.0e}".replace("e-0", "e-") for name in FORMATS)
    return [differences, f"{found[FORMATS[0]]['bytes'] / 1e6:.1f}"]


def _int8(row: dict[str, Any]) -> str:
    """Sizes from the conformance checks. The model has 4 classes. Its small images do not affect the size of the file."""
    checks = row.get("conformance", {})
    sizes = [re.match(r"([\d.]+) MB", checks.get(f"export_{name}_int8", {}).get("seen", "")) for name in FORMATS]
    return f"{float(sizes[0][1]):.1f}" if sizes[0] else "-"


def _latency(row: dict[str, Any]) -> str:
    found = row.get("latency", {})
    return " / ".join(f"{found[name]:.1f}" for name in FORMATS) if all(name in found for name in FORMATS) else "-"


if __name__ == "__main__":
    main()
