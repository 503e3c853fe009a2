"""The finished runs of a folder, a line each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT, Run
from zoo.workflows.finding import finished_runs


@dataclass(frozen=True, kw_only=True)
class RunsRequest:
    """Which runs.

    Args:
        runs: Folder of runs.
        architecture: Those of it alone.
        data: Those that were trained on it alone: a path or the name of a dataset.
    """

    runs: Path = DEFAULT_ROOT
    architecture: str | None = None
    data: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """A run.

    Args:
        name: Of its folder.
        architecture: That was trained.
        data: What it was trained on.
        accuracy, accuracy_interval: Share of its test images that it is right about, with the 95 % interval.
        n: Number of those.
        created_at: When it began, UTC, ISO 8601; ``None`` in older runs.
        exported: Exported files that stand in it.
        path: Of the folder.
    """

    name: str
    architecture: str
    data: str
    accuracy: float
    accuracy_interval: tuple[float, float]
    n: int
    created_at: str | None
    exported: tuple[str, ...]
    path: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def runs(request: RunsRequest, reporter: Reporter) -> tuple[RunLine, ...]:
    """The finished runs of a folder, the newest first. One that cannot be read is named and passed over."""
    from zoo.errors import ZooError

    lines = []
    for run in finished_runs(request.runs, request.architecture, request.data):
        try:
            lines.append(_line(run))
        except ZooError as error:
            reporter.note(f"{run.path} is left out: {error.message}")
    return tuple(lines)


def _line(run: Run) -> RunLine:
    metrics = run.metrics
    return RunLine(
        name=run.name,
        architecture=run.architecture,
        data=run.info.data.source,
        accuracy=metrics.accuracy,
        accuracy_interval=metrics.accuracy_interval,
        n=metrics.n,
        created_at=run.info.created_at,
        exported=exported_files(run.path / "exports"),
        path=str(run.path),
    )


def exported_files(folder: Path) -> tuple[str, ...]:
    """Names of the bundles in a folder, each with the file that it was made for."""
    return tuple(sorted(spec.parent.name for spec in folder.glob("*/spec.json") if spec.parent.name[0] != "."))
