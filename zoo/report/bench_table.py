"""The latencies of several files on several devices, from the JSON of ``zoo bench`` and ``run.py --bench``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from zoo.edge.bench import BENCH_VERSION, KIND
from zoo.errors import UsageError
from zoo.figures import percent
from zoo.records import read_json
from zoo.table import Column, table, wrap

#: Increased whenever readers of the merged JSON must change.
MERGED_VERSION = 1

_HOW = "Give files that 'zoo bench --out' or 'run.py --bench --json' wrote."
_MISSING = "-"
_LEGEND = (
    "front: yes if no other file on the device is both at least as good in accuracy, latency (fastest ms) and size and "
    "better in at least one of them (Pareto front)."
)

_SUSTAINED_LEGEND = (
    "sustained img/s, °C and MHz: photos per second of all copies, temperature of the processor and its clock "
    "frequency in the last tenth of the run with --sustained."
)

_COLUMNS = (
    Column("device", "text"),
    Column("model", "name"),
    Column("format", "name"),
    Column("precision", "name"),
    Column("MB", rank=3),
    Column("accuracy", rank=1),
    Column("cold s", rank=6),
    Column("memory MB", rank=5),
    Column("p50 ms", rank=7),
    Column("p95 ms", rank=8),
    Column("fastest ms"),
    Column("threads", rank=7),
    Column("photo ms", rank=4),
    Column("img/s", rank=6),
    Column("batch", rank=9),
    Column("copies img/s", rank=9),
    Column("front", rank=2),
)
_SUSTAINED = (
    Column("sustained img/s", rank=10),
    Column("°C", rank=11),
    Column("MHz", rank=11),
    Column("J/photo", rank=10),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file on one device.

    Args:
        device: Name of the device.
        cpu, system: Processor and operating system of the device.
        model: Name of the architecture, followed by the start of the file's digest if several files are of one kind.
        format, precision, source: Format, precision and origin of the file.
        sha256, size_bytes: Digest and size of the file.
        runtime: Name and version of the runtime.
        accuracy: Accuracy of the file on the ``accuracy_images`` images of its verification. ``None``: not verified.
        accuracy_data: Digest of those images.
        cold_start_s: Time from the start of a process to its first prediction.
        load_ms: Time to load the model.
        peak_memory_bytes: Peak memory of a process that predicts one photo. ``None``: unknown.
        p50_ms, p95_ms: Median and 95th percentile of the time for one image, model only, with the smallest measured
            number of threads.
        threads: Number of threads with the lowest time for one image.
        fastest_ms: Median time for one image with that number of threads, model only.
        photo_ms: Median time from a photo file to its prediction, with that number of threads.
        images_per_s: Highest throughput over all numbers of threads and batch sizes.
        batch: Batch size of that throughput.
        measured: Time of the measurement, in ISO 8601.
        copies: Number of copies of the model with the highest throughput when they predict at the same time. ``None``,
            like the next field, in a file of an older zoo.
        copies_images_per_s: That throughput, from photo to prediction.
        sustained_s: Duration of the sustained run. ``None``, like all following fields about it: there was none.
        sustained_copies: Number of copies of the model in that run.
        sustained_first_images_per_s, sustained_last_images_per_s: Photos per second in its first and last tenth.
        temperature_c, frequency_mhz: Temperature and clock frequency in its last tenth. ``None`` if unknown.
        joules_per_image, energy_source: Energy per photo, and what measured it. ``None`` if unknown.
        on_front: Whether the file is on the Pareto front of the device in accuracy, speed and size. ``None`` without an
            accuracy.
    """

    device: str
    cpu: str
    system: str
    model: str
    format: str
    precision: str
    source: str
    sha256: str
    size_bytes: int
    runtime: str
    accuracy: float | None
    accuracy_images: int | None
    accuracy_data: str | None
    cold_start_s: float
    load_ms: float
    peak_memory_bytes: int | None
    p50_ms: float
    p95_ms: float
    threads: int
    fastest_ms: float
    photo_ms: float
    images_per_s: float
    batch: int
    measured: str
    copies: int | None = None
    copies_images_per_s: float | None = None
    sustained_s: float | None = None
    sustained_copies: int | None = None
    sustained_first_images_per_s: float | None = None
    sustained_last_images_per_s: float | None = None
    temperature_c: float | None = None
    frequency_mhz: float | None = None
    joules_per_image: float | None = None
    energy_source: str | None = None
    on_front: bool | None = None


@dataclass(frozen=True)
class Merged:
    """All rows, sorted by device, and notes for the reader."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        rows = [asdict(row) for row in self.rows]
        return {"kind": f"{KIND} --merge", "version": MERGED_VERSION, "notes": list(self.notes), "rows": rows}

    def as_text(self, width: int | None = None) -> str:
        """A table within ``width`` columns, and what its columns mean. Sustained runs have columns if there are any."""
        columns, legends = [*_COLUMNS], [_LEGEND]
        if any(row.sustained_s is not None for row in self.rows):
            columns, legends = [*_COLUMNS, *_SUSTAINED], [_SUSTAINED_LEGEND, _LEGEND]
        shown = table(columns, [_cells(row)[: len(columns)] for row in self.rows], width)
        return "\n".join([shown, "", *(line for legend in legends for line in wrap(legend, width))])


def merged(paths: Sequence[Path]) -> Merged:
    """Reads and merges the files.

    If a file was measured twice on one device, the later measurement is used, and a note says so. Two machines with the
    same name are distinguished by their processors, if these differ.

    Raises:
        UsageError: A file is not the JSON of a benchmark, or has another version.
    """
    notes: list[str] = []
    found = _tell_machines_apart([row for path in paths for row in _read(path)], notes)
    latest: dict[tuple[str, str], Row] = {}
    for row in sorted(found, key=lambda row: row.measured):
        key = (row.device, row.sha256)
        if key in latest and latest[key] != row:
            notes.append(
                f"{row.model} {row.format} {row.precision} was timed twice on {row.device}, at "
                f"{latest[key].measured} and {row.measured}. The later times are shown."
            )
        latest[key] = row
    rows = _tell_files_apart(list(latest.values()))
    measured = [row for row in rows if row.accuracy is not None]
    if len({row.accuracy_data for row in measured}) > 1:
        notes.append("The accuracies were measured on different images, so not all of them can be compared.")
    if left := len(rows) - len(measured):
        notes.append(
            f"{left} of {len(rows)} rows have no accuracy, because their files were not verified. They cannot be on a"
            " front."
        )
    rows = [replace(row, on_front=_on_front(row, measured)) for row in rows]
    rows.sort(key=lambda row: (row.device, row.model, row.format, row.size_bytes * -1))
    return Merged(tuple(rows), tuple(notes))


def _on_front(row: Row, others: Iterable[Row]) -> bool | None:
    if row.accuracy is None:
        return None
    mine = (-row.accuracy, row.fastest_ms, row.size_bytes)
    for other in others:
        assert other.accuracy is not None
        theirs = (-other.accuracy, other.fastest_ms, other.size_bytes)
        if other.device == row.device and theirs != mine and all(a <= b for a, b in zip(theirs, mine, strict=True)):
            return False
    return True


def _tell_machines_apart(rows: list[Row], notes: list[str]) -> list[Row]:
    cpus: dict[str, set[str]] = {}
    for row in rows:
        cpus.setdefault(row.device, set()).add(row.cpu)
    for device, several in cpus.items():
        if len(several) > 1:
            notes.append(
                f"Several machines are called {device}; their processors distinguish them. To name them, use --device."
            )
    return [replace(row, device=f"{row.device} ({row.cpu})") if len(cpus[row.device]) > 1 else row for row in rows]


def _tell_files_apart(rows: list[Row]) -> list[Row]:
    kinds: dict[tuple[str, str, str], set[str]] = {}
    for row in rows:
        kinds.setdefault((row.model, row.format, row.precision), set()).add(row.sha256)
    return [
        replace(row, model=f"{row.model} {row.sha256[:7]}")
        if len(kinds[row.model, row.format, row.precision]) > 1
        else row
        for row in rows
    ]


def _read(path: Path) -> list[Row]:
    try:
        values = read_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"Could not read '{path}': {error.strerror or error}.", _HOW) from error
    except ValueError as error:
        raise UsageError(f"'{path}' is not JSON: {error}.", _HOW) from error
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise UsageError(f"'{path}' is JSON, but not a benchmark.", _HOW)
    if values.get("version") != BENCH_VERSION:
        raise UsageError(
            f"'{path}' is version {values.get('version')!r} of a benchmark; this zoo reads {BENCH_VERSION}.",
            "Measure again with a bundle that this zoo exported.",
        )
    try:
        return [_row(values, result) for result in values["results"]]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise UsageError(f"'{path}' is a damaged benchmark: {type(error).__name__}: {error}.", _HOW) from error


def _row(values: dict[str, Any], result: dict[str, Any]) -> Row:
    device, model, runtime = values["device"], result["model"], result["runtime"]
    speeds = sorted(result["threads"], key=lambda speed: speed["threads"])
    fastest = min(speeds, key=lambda speed: speed["model"]["p50_ms"])
    most = max((speed["best_batch"] for speed in speeds), key=lambda batch: batch["images_per_s"])
    times = (speeds[0]["model"]["p50_ms"], fastest["model"]["p50_ms"], fastest["photo"]["p50_ms"], most["images_per_s"])
    if not all(0 < value < math.inf for value in times):
        raise ValueError(f"times and speeds must be above 0; received {times}")
    accuracy, images, peak = model["accuracy"], model["accuracy_images"], result["peak_memory_bytes"]
    return Row(
        device=str(device["name"]),
        cpu=str(device["cpu"]),
        system=str(device["system"]),
        model=str(model["architecture"]),
        format=str(model["format"]),
        precision=str(model["precision"]),
        source=str(model["source"]),
        sha256=str(model["sha256"]),
        size_bytes=_whole(model["bytes"]),
        runtime=f"{runtime['name']} {runtime['version'] or ''}".strip(),
        accuracy=None if accuracy is None else float(accuracy),
        accuracy_images=None if images is None else _whole(images),
        accuracy_data=model["accuracy_data_digest"],
        cold_start_s=float(result["cold_start_s"]["median"]),
        load_ms=float(result["load_ms"]),
        peak_memory_bytes=None if peak is None else _whole(peak),
        p50_ms=float(speeds[0]["model"]["p50_ms"]),
        p95_ms=float(speeds[0]["model"]["p95_ms"]),
        threads=_whole(fastest["threads"]),
        fastest_ms=float(fastest["model"]["p50_ms"]),
        photo_ms=float(fastest["photo"]["p50_ms"]),
        images_per_s=float(most["images_per_s"]),
        batch=_whole(most["size"]),
        measured=str(values["measured"]),
        **_of_copies(speeds),
        **_of_sustained(result.get("sustained")),
    )


def _of_copies(speeds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = [speed["copies"] for speed in speeds if "copies" in speed]
    if not found:
        return {}
    most = max(found, key=lambda copies: copies["images_per_s"])
    return {"copies": _whole(most["copies"]), "copies_images_per_s": float(most["images_per_s"])}


def _of_sustained(run: dict[str, Any] | None) -> dict[str, Any]:
    if run is None:
        return {}
    first, last = run["windows"][0], run["windows"][-1]
    source = run["energy_source"]
    return {
        "sustained_s": float(run["seconds"]),
        "sustained_copies": _whole(run["copies"]),
        "sustained_first_images_per_s": float(first["images_per_s"]),
        "sustained_last_images_per_s": float(last["images_per_s"]),
        "temperature_c": _known(last["temperature_c"]),
        "frequency_mhz": _known(last["frequency_mhz"]),
        "joules_per_image": _known(run["joules_per_image"]),
        "energy_source": None if source is None else str(source),
    }


def _known(value: Any) -> float | None:
    return None if value is None else float(value)


def _whole(value: Any) -> int:
    number = int(value)
    if not 0 <= number < 2**63:
        raise ValueError(f"counts must be from 0 to {2**63 - 1}")
    return number


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.device,
        row.model,
        row.format,
        row.precision,
        f"{row.size_bytes / 1e6:.2f}",
        _MISSING if row.accuracy is None else percent(row.accuracy),
        f"{row.cold_start_s:.2f}",
        _MISSING if row.peak_memory_bytes is None else f"{row.peak_memory_bytes / 1e6:.0f}",
        f"{row.p50_ms:.2f}",
        f"{row.p95_ms:.2f}",
        f"{row.fastest_ms:.2f}",
        str(row.threads),
        f"{row.photo_ms:.2f}",
        f"{row.images_per_s:.0f}",
        str(row.batch),
        _shown(row.copies_images_per_s, 1),
        {True: "yes", False: "no", None: _MISSING}[row.on_front],
        _shown(row.sustained_last_images_per_s, 1),
        _shown(row.temperature_c, 0),
        _shown(row.frequency_mhz, 0),
        _MISSING if row.joules_per_image is None else f"{row.joules_per_image:.3g}",
    )


def _shown(value: float | None, digits: int) -> str:
    return _MISSING if value is None else f"{value:.{digits}f}"
