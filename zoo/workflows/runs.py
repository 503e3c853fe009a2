"""The list of the finished runs in a folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT, Run
from zoo.workflows.finding import finished_runs


@dataclass(frozen=True, kw_only=True)
class RunsRequest:
    """Which runs to list.

    Args:
        runs: Folder of runs.
        architecture: Include only runs of this architecture.
        data: Include only runs trained on this data: a path or the name of a dataset.
    """

    runs: Path = DEFAULT_ROOT
    architecture: str | None = None
    data: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """A finished run.

    Args:
        name: Name of its folder.
        architecture: Name of the architecture.
        data: The training data.
        accuracy, accuracy_interval: Accuracy on the test images, 0 to 1, with its 95 % interval.
        n: Number of test images.
        created_at: Start of the run, UTC, ISO 8601. ``None`` in older runs.
        exported: Names of its exported files.
        path: Path of its folder.
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
    """Lists the finished runs of a folder, newest first. Runs that cannot be read are reported and skipped."""
    from zoo.errors import ZooError

    lines = []
    for run in finished_runs(request.runs, request.architecture, request.data):
        try:
            lines.append(_line(run))
        except ZooError as error:
            reporter.note(f"Skipped {run.path}: {error.message}")
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
    """Names of the complete bundles in a folder, each of which contains an exported file."""
    return tuple(sorted(spec.parent.name for spec in folder.glob("*/spec.json") if spec.parent.name[0] != "."))
