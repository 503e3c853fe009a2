"""Measures latency, throughput and memory of a bundle on this device.

All measurements run in new processes of ``run.py``, one after the other. This process only starts them, so that its own
modules have no influence, and the measured memory is that of a process without other work.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from zoo.edge.bundle import Bundle, read_bundle
from zoo.edge.machine import core_count, describe_machine
from zoo.errors import DataError, UsageError, VerificationError
from zoo.figures import percent
from zoo.records import read_object
from zoo.table import Column, table, wrap

#: Increased whenever programs that read the JSON must be changed.
BENCH_VERSION = 1
KIND = "zoo bench"

#: Number of processes that are started to measure the cold start, and of those to measure the memory.
COLD_STARTS = 5

#: Duration of each measurement of speed in seconds: of the model alone, and from photo to prediction. Every batch size
#: is measured for half of it.
SECONDS = 2.0

#: The best batch size is the smallest one whose throughput is at most this share below the highest. Smaller differences
#: are noise, and larger batches need more memory.
_AS_FAST = 0.03

_GOLDEN = "golden/golden.json"
_NOT_RUNTIMES = ("numpy", "opencv-python-headless")

Say = Callable[[str], None]


def bench(
    folder: Path,
    threads: Sequence[int] = (),
    seconds: float = SECONDS,
    say: Say = lambda text: None,
    sustained: float | None = None,
) -> dict[str, Any]:
    """Measures a bundle with its own ``run.py``.

    The measurements with each number of threads take about seven times ``seconds``. If predictions are slow, they take
    longer, up to about seventy times ``seconds``, until there are enough predictions. The cold starts take additional
    time.

    Args:
        folder: The bundle.
        threads: Numbers of CPU threads to try. Empty: 1, 2, 4, ... and all cores.
        seconds: Duration of each measurement.
        say: Receives the name of each stage.
        sustained: Duration in seconds of an additional run, which shows whether the device slows down when it gets hot.
            In it, as many copies of the model as the largest number of threads predict at the same time. ``None``: no
            such run.

    Returns:
        An entry of ``results`` in the JSON.

    Raises:
        VerificationError: A file of the bundle has changed, or the model cannot predict.
        UsageError: The runtime is not installed.
    """
    bundle = read_bundle(folder)
    if altered := bundle.altered():
        raise VerificationError(
            f"The bundle {folder} is damaged: {' '.join(altered)}", "Copy the bundle again, or export the model again."
        )
    pictures, origin = _pictures(bundle)
    say(f"Starting {bundle.model} {2 * COLD_STARTS} times")
    starts, answers = [], []
    for number in range(COLD_STARTS + 1):
        taken = _start_to_answer(folder, pictures[0])
        found = _ask(folder, "answer", pictures[:1])
        if number:  # the first process fills the file cache of the system and Python's cache of compiled modules
            starts.append(taken)
            answers.append(found)
    speeds, counts = [], threads or thread_counts(core_count())
    for count in counts:
        say(f"Timing {bundle.model} on {_number(count, 'thread', 'threads')}")
        options = ("--threads", str(count), "--seconds", str(seconds))
        found = _ask(folder, "speed", pictures, *options)
        speeds.append(found | {"best_batch": _best(found["batches"])})
    run = None
    if sustained is not None:
        copies = max(counts)
        say(f"Running {_number(copies, 'copy', 'copies')} of {bundle.model} for {sustained:g} s")
        run = _ask(folder, "sustained", pictures, "--threads", str(copies), "--seconds", str(sustained))
    peaks = [answer["peak_memory_bytes"] for answer in answers if answer["peak_memory_bytes"]]
    return {
        "model": _model(bundle),
        "runtime": _runtime(bundle),
        "pictures": origin,
        "cold_start_s": {"median": statistics.median(starts), "min": min(starts), "max": max(starts)},
        "load_ms": statistics.median(answer["load_ms"] for answer in answers),
        "peak_memory_bytes": int(statistics.median(peaks)) if peaks else None,
        "threads": speeds,
        "sustained": run,
    }


def latency_ms(folder: Path, threads: int, seconds: float) -> float:
    """Median latency in milliseconds of the model of a bundle for one image, measured as in ``bench``.

    Args:
        folder: The bundle.
        threads: Number of CPU threads.
        seconds: Duration of the measurement.

    Raises:
        VerificationError: The model cannot predict.
        UsageError: The runtime is not installed.
    """
    pictures, _ = _pictures(read_bundle(folder))
    found = _ask(folder, "latency", pictures, "--threads", str(threads), "--seconds", str(seconds))
    return float(found["model"]["p50_ms"])


def report(results: Sequence[dict[str, Any]], device: str | None = None) -> dict[str, Any]:
    """The JSON of a benchmark.

    Args:
        results: Results of ``bench`` for each file.
        device: Name of this device.
    """
    return {
        "kind": KIND,
        "version": BENCH_VERSION,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": describe_machine(device),
        "results": list(results),
    }


def as_text(result: dict[str, Any], width: int | None = None) -> str:
    """A result as text, with tables of at most ``width`` characters."""
    model, runtime, start = result["model"], result["runtime"], result["cold_start_s"]
    peak = result["peak_memory_bytes"]
    said = (
        f"{model['file']}: {model['format']}, {model['precision']}, {model['bytes'] / 1e6:.2f} MB, "
        f"{runtime['name']} {runtime['version'] or '(version unknown)'}"
    )
    facts = (
        ("cold start", f"{start['median']:.2f} s ({start['min']:.2f} to {start['max']:.2f}) to the first prediction"),
        ("loading", f"{result['load_ms']:.0f} ms"),
        ("peak memory", f"{peak / 1e6:.0f} MB" if peak else "unknown"),
        ("model", "the model alone"),
        ("photo", _photos(result)),
        ("copies", "from photo to prediction, with as many copies of the model as threads at the same time"),
        *(_sustained(result["sustained"]) if result.get("sustained") else ()),
    )
    rows = [
        (
            str(speed["threads"]),
            *(f"{speed[what][key]:.{digits}f}" for what in ("model", "photo") for key, digits in _SPEEDS.items()),
            str(speed["best_batch"]["size"]),
            f"{speed['best_batch']['images_per_s']:.0f}",
            f"{speed['copies']['images_per_s']:.1f}",
        )
        for speed in result["threads"]
    ]
    return "\n".join([*wrap(said, width), table(_FACTS, facts, width, "  "), "", table(_COLUMNS, rows, width, "  ")])


_FACTS = (Column("", "name"), Column("", "text"))
_SPEEDS = {"p50_ms": 2, "p95_ms": 2, "images_per_s": 1}
_COLUMNS = (
    Column("threads"),
    Column("model p50 ms"),
    Column("model p95 ms", rank=3),
    Column("model img/s", rank=1),
    Column("photo p50 ms"),
    Column("photo p95 ms", rank=4),
    Column("photo img/s", rank=2),
    Column("best batch", rank=1),
    Column("batch img/s", rank=1),
    Column("copies img/s", rank=2),
)
_UNKNOWN = "not known here"


def thread_counts(cores: int) -> list[int]:
    """1, 2, 4, ... and all cores."""
    counts = [1]
    while 2 * counts[-1] < cores:
        counts.append(2 * counts[-1])
    return counts if cores == 1 else [*counts, cores]


def _number(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _sustained(run: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The facts of a sustained run, which compare its first part with its last."""
    first, last = run["windows"][0], run["windows"][-1]
    share = last["images_per_s"] / first["images_per_s"] if first["images_per_s"] else 0.0
    speeds = f"{first['images_per_s']:.1f} photos/s in the first tenth, {last['images_per_s']:.1f} in the last"
    copies = _number(run["copies"], "copy", "copies")
    yield "sustained", f"{run['seconds']:.0f} s with {copies}: {speeds} ({percent(share, 0)} of the first)"
    for name, key, unit in (("temperature", "temperature_c", "°C"), ("clock", "frequency_mhz", "MHz")):
        values = [window[key] for window in (first, last)]
        known = None not in values
        yield name, f"{values[0]:.0f} {unit} in the first tenth, {values[1]:.0f} in the last" if known else _UNKNOWN
    joules = run["joules_per_image"]
    yield "energy", _UNKNOWN if joules is None else f"{joules:.3g} J per photo ({run['energy_source']})"


def _photos(result: dict[str, Any]) -> str:
    photo = result["threads"][0]["photo"]
    kind = {"photo": "photo", "drawn": "drawn picture"}[result["pictures"]]
    return f"from {kind} to prediction, {photo['megapixels']:.2f} Mpx"


def _pictures(bundle: Bundle) -> tuple[list[Path], str]:
    """The photos of the golden vectors, or the synthetic images if there are no photos, and their origin."""
    path = bundle.folder / _GOLDEN
    try:
        images = read_object(path.read_bytes())["images"]
        named = [(str(item["origin"]), path.parent / Path(item["file"]).name) for item in images]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerificationError(f"{_GOLDEN} cannot be read: {error}.", "Export the model again.") from error
    for origin in ("photo", "drawn"):
        if found := [file for kind, file in named if kind == origin]:
            return found, origin
    raise VerificationError(f"{_GOLDEN} lists no image.", "Export the model again.")


def _start_to_answer(folder: Path, picture: Path) -> float:
    """Seconds from the start of a process to its prediction."""
    start = time.perf_counter()
    command = [sys.executable, str(folder / "run.py"), str(picture)]
    # A file, not a pipe, because a full pipe that is not read would block the process.
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said) as process:
        assert process.stdout is not None
        answer = process.stdout.readline()
        taken = time.perf_counter() - start
        process.communicate()
        said.seek(0)
        _refuse_failure(process.returncode or (0 if answer else 1), said.read())
    return taken


def _ask(folder: Path, kind: str, pictures: Sequence[Path], *options: str) -> dict[str, Any]:
    command = [sys.executable, str(folder / "run.py"), "--bench-worker", kind, *options, *map(str, pictures)]
    done = subprocess.run(command, capture_output=True, check=False)
    _refuse_failure(done.returncode, done.stderr)
    found: dict[str, Any] = read_object(done.stdout.splitlines()[-1])
    return found


def _refuse_failure(code: int, said: bytes) -> None:
    if code == 130:
        raise KeyboardInterrupt
    if code:
        text = said.decode(errors="replace").strip().removeprefix("Error: ")
        kind = {UsageError.exit_code: UsageError, DataError.exit_code: DataError}.get(code, VerificationError)
        raise kind(f"The model could not be timed: {text or f'its process ended with {code}.'}")


def _best(batches: Sequence[dict[str, Any]]) -> dict[str, Any]:
    fastest = max(batch["images_per_s"] for batch in batches)
    return next(batch for batch in batches if batch["images_per_s"] >= fastest * (1 - _AS_FAST))


def _model(bundle: Bundle) -> dict[str, Any]:
    values = bundle.values
    made, proof = values["files"][bundle.model], values.get("verification") or {}
    return {
        "file": bundle.model,
        "sha256": made["sha256"],
        "bytes": bundle.model_bytes,
        "format": values["format"],
        "precision": values["precision"],
        "architecture": values["architecture"],
        "source": values["source"],
        "classes": len(bundle.labels),
        "image": bundle.image.as_dict(),
        # Accuracy of the file on the images of its verification; null if it was not verified.
        "accuracy": proof.get("accuracy"),
        "accuracy_images": proof.get("n"),
        "accuracy_data_digest": proof.get("data_digest"),
    }


def _runtime(bundle: Bundle) -> dict[str, Any]:
    """The runtime, which is the only requirement besides NumPy and OpenCV, and the versions of all requirements."""
    names = [re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in bundle.requires]
    name = next((name for name in names if name not in _NOT_RUNTIMES), "unknown")
    packages = {name: _version(name) for name in names}
    return {"name": name, "version": packages.get(name), "packages": packages}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except (PackageNotFoundError, ValueError):
        return None  # such as a local build, or a line without a package name
