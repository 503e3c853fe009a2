"""The search for the best model within the limits of a device and a time budget."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.data.named import find_source
from zoo.errors import UsageError
from zoo.interfaces import Exporter
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT
from zoo.searching.candidate import Cost, Judged, Limits, Outcome, exact, ranked
from zoo.searching.folder import Goal, same_goal
from zoo.workflows.host import host_kept
from zoo.workflows.models import Run

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.searching.clock import Clock
    from zoo.searching.engine import Engine
    from zoo.searching.journal import Journal
    from zoo.workflows.search_work import SearchWork


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What to search for.

    Args:
        data: A folder of class folders, a CSV file, or the name of a dataset.
        time_s: Time for the whole search in seconds.
        max_latency_ms: Maximum latency of the model on one thread, for one image, in milliseconds.
        max_size_mb: Maximum size of the exported file, in 10^6 bytes.
        format: Name of an exporter. ``None``: the first whose files can be timed.
        precision: A precision that the exporter supports.
        architectures: Names of the architectures to try. If empty, all whose pretrained weights are on disk.
        device: JSON file written by ``zoo bench`` on the target device. ``None``: this machine.
        runs: Folder of runs.
        name: Name of the winner's run. The folder of the search is ``<name>.search`` next to it. ``None``: derived from
            the data.
        on: The Ray cluster that tries candidates: ``ray`` or ``ray://HOST:PORT``. ``None``: this process.
    """

    data: str
    time_s: float = 600.0
    max_latency_ms: float | None = None
    max_size_mb: float | None = None
    format: str | None = None
    precision: str = "float32"
    architectures: tuple[str, ...] = ()
    device: Path | None = None
    runs: Path = DEFAULT_ROOT
    name: str | None = None
    on: str | None = None

    @property
    def limits(self) -> Limits:
        return Limits(max_latency_ms=self.max_latency_ms, max_size_mb=self.max_size_mb)

    @cached_property
    def run_name(self) -> str:
        """Name of the winner's run."""
        if self.name is not None:
            return self.name
        return f"best-{re.sub(r'[^A-Za-z0-9_]+', '-', Path(self.data).stem).strip('-') or 'model'}"

    @property
    def folder(self) -> Path:
        return self.runs / f"{self.run_name}.search"

    def command(self) -> str:
        """The equivalent command line."""
        return shlex.join(["zoo", "search", *self._arguments()])

    def _arguments(self) -> Iterator[str]:
        given: dict[str, Any] = {"data": self.data}
        given |= {"time": None if self.time_s == SearchRequest.time_s else f"{exact(self.time_s)}s"}
        given |= {"max-latency-ms": self.max_latency_ms, "max-size-mb": self.max_size_mb, "format": self.format}
        given |= {"precision": None if self.precision == "float32" else self.precision, "device": self.device}
        given |= {"runs": None if self.runs == DEFAULT_ROOT else self.runs, "name": self.name}
        given |= {"on": self.on}
        for name, value in given.items():
            if value is not None:
                yield from (f"--{name}", exact(value) if isinstance(value, float) else str(value))
        for architecture in self.architectures:
            yield from ("--arch", architecture)


@dataclass(frozen=True, kw_only=True)
class Found:
    """Result of a search.

    Args:
        run: The run of the winner.
        file: The exported file of the winner, which is verified and meets the limits.
        cost: Latency and size of that file.
        outcomes: All candidates, the best first, followed by those that were left out.
        front: Keys of the candidates on the Pareto front of accuracy, latency and size.
        second: A sentence that compares the second best candidate with the winner. Empty if there is none.
        limits: The limits of the device.
        form: Format and precision of the file, in words.
        device: Name of the device on which latency was measured. Empty for this machine.
        notes: Notes for the reader, one sentence each.
        page: The page with the plot of all candidates.
    """

    run: Run
    file: Path
    cost: Cost
    outcomes: tuple[Outcome, ...]
    front: frozenset[str]
    second: str
    limits: Limits
    form: str
    device: str
    notes: tuple[str, ...]
    page: Path

    @property
    def ranked(self) -> list[tuple[Outcome, Judged]]:
        """The candidates that were not left out, best first."""
        return ranked(self.outcomes)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as ``--json`` prints it."""
        keys = [outcome.candidate.key for outcome, _ in self.ranked]
        return {
            "run": str(self.run.path),
            "file": str(self.file),
            "cost": asdict(self.cost),
            "test_accuracy": self.run.metrics.accuracy,
            "test_accuracy_interval": list(self.run.metrics.accuracy_interval),
            "limits": asdict(self.limits),
            "form": self.form,
            "device": self.device,
            "tried": len(self.outcomes),
            "winner": keys[0],
            "second": keys[1] if len(keys) > 1 else None,
            "front": sorted(self.front),
            "candidates": [outcome.as_dict() for outcome in self.outcomes],
            "notes": list(self.notes),
            "page": str(self.page),
        }


def search(request: SearchRequest, reporter: Reporter) -> Found:
    """Searches for the most accurate model whose exported file meets the limits.

    Args:
        request: What to search for.
        reporter: Receives the progress.

    Raises:
        UsageError: The options cannot be met or contradict each other, the folder belongs to another search, or no
            exported file meets the limits.
        DataError: The images cannot be used.
        PluginError: All candidates failed.
        ExportError: No candidate could be trained, exported and verified.
        TrainingError: A file of the search is damaged or cannot be written.
        ClusterError: The cluster cannot be reached, or its connection is lost.
    """
    from zoo.searching.options import find_architectures, find_exporter

    _refuse_odd_figures(request)
    exporter = find_exporter(request.format, request.precision)
    names = find_architectures(request.architectures, request.data)
    benchmark = _read_benchmark(request.device)
    find_source(request.data)
    if request.on is not None:
        from zoo.cluster.address import check_cluster

        check_cluster(request.on)
    if not request.folder.is_dir():
        from zoo.workflows.train import refuse_run_name

        refuse_run_name(request.runs, request.run_name)
    with host_kept():
        try:
            return _search(request, exporter, names, benchmark, reporter)
        except (KeyboardInterrupt, SystemExit):
            if (request.folder / "search.json").is_file():
                reporter.note(f"Interrupted. The results so far are kept. To continue: {request.command()}")
            raise
        finally:
            reporter.trained()


def _refuse_odd_figures(request: SearchRequest) -> None:
    figures = {"--max-latency-ms": request.max_latency_ms, "--max-size-mb": request.max_size_mb}
    for option, value in {**figures, "--time": request.time_s}.items():
        if value is not None and not 0 < value < 1e9:
            raise UsageError(f"{option} must be above 0 and below 1000000000. Received: {exact(value)}.")


def _read_benchmark(path: Path | None) -> Mapping[str, Any] | None:
    """Reads and checks the JSON file of a device."""
    if path is None:
        return None
    from zoo.records import read_object
    from zoo.report.bench_table import merged

    if not merged([path]).rows:
        raise UsageError(f"'{path}' contains no timed file.", "To time a bundle on the device: zoo bench BUNDLE")
    return read_object(path.read_bytes())


def _search(
    request: SearchRequest,
    exporter: Exporter,
    names: tuple[str, ...],
    benchmark: Mapping[str, Any] | None,
    reporter: Reporter,
) -> Found:
    from zoo.searching.waiting import patiently_locked

    finishing = "Waiting for another process to finish this search"
    work, journal, clock = _open(request, exporter, names, benchmark, reporter)
    try:
        engine = work.engine(journal)
        while True:
            with patiently_locked(request.folder / "finish.lock", reporter, finishing):
                journal.reopen()
            if request.on is not None:
                from zoo.workflows.search_cluster import try_on_cluster

                try_on_cluster(request, len(names), journal, reporter)
            engine.run()
            with patiently_locked(request.folder / "finish.lock", reporter, finishing):
                if not journal.closed:
                    engine.close()
                    return work.finish()
            # Another process, perhaps with a shorter --time, has finished the search. This one may have time left.
    finally:
        clock.keep()


def open_trials(request: SearchRequest, command: str) -> Engine:
    """Opens a search that another process has begun, and returns the engine that tries its candidates.

    Args:
        request: The search.
        command: Name of the command that has started this worker.
    """
    from zoo.searching.options import find_architectures, find_exporter

    exporter = find_exporter(request.format, request.precision)
    names = find_architectures(request.architectures, request.data)
    work, journal, _ = _open(request, exporter, names, _read_benchmark(request.device), Reporter(), command)
    return work.engine(journal)


def _open(
    request: SearchRequest,
    exporter: Exporter,
    names: tuple[str, ...],
    benchmark: Mapping[str, Any] | None,
    reporter: Reporter,
    command: str = "",
) -> tuple[SearchWork, Journal, Clock]:
    from zoo.backend import start_keras
    from zoo.data import load_data
    from zoo.searching.clock import Clock
    from zoo.searching.journal import Journal
    from zoo.searching.judge import choosing_photos

    clock = Clock(request.folder / "time.json", request.time_s)  # includes the time for reading the photos
    image = architectures().get(names[0]).image
    reporter.stage(f"Reading {request.data} as {image}")
    data = load_data(request.data, image, validation=False, progress=reporter.counter("decoding"))
    for note in data.notes:
        reporter.note(note)
    photos = choosing_photos(data)
    goal, notes = _goal(request, exporter, names, data)
    for note in notes:
        reporter.note(note)
    journal = Journal(request.folder, goal.architectures, command)
    tests = sum(data.counts["test"].values())
    reporter.stage(f"{len(photos.names)} images for cross-validation, {tests} test images to evaluate the winner")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the converters need this backend
    start_keras()
    from zoo.workflows.search_work import SearchWork

    tried = tuple(name for name in goal.architectures if name in names)
    return SearchWork(request, exporter, tried, photos, benchmark, clock, notes, reporter), journal, clock


def _goal(
    request: SearchRequest, exporter: Exporter, names: tuple[str, ...], data: ImageData
) -> tuple[Goal, list[str]]:
    """The goal recorded in the folder, and notes on architectures that were installed or removed since then."""
    device = request.device
    goal = Goal(
        data=data.source,
        data_digest=data.digest,
        format=exporter.name,
        precision=request.precision,
        limits=request.limits,
        device=hashlib.sha256(device.read_bytes()).hexdigest() if device else "",
        asked=tuple(sorted(set(request.architectures))),
        architectures=names,
    )
    recorded = same_goal(request.folder, goal)
    later = sorted(set(names) - set(recorded.architectures))
    gone = sorted(set(recorded.architectures) - set(names))
    notes: list[str] = []
    if later:
        notes.append(f"Installed after this search began, and therefore not tried: {', '.join(later)}.")
    if gone:
        notes.append(f"No longer installed, and therefore not tried any more: {', '.join(gone)}.")
    return recorded, notes
