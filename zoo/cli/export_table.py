"""Prints what ``zoo export`` wrote, refused or could not write."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from zoo.figures import percent
from zoo.table import Column, table, terminal_width

if TYPE_CHECKING:
    from zoo.evaluation.trained import TrainedModel
    from zoo.exporting.job import Exported
    from zoo.workflows.export import ExportRequest

_COLUMNS = (
    Column("format", "name"),
    Column("precision", "name"),
    Column("size", rank=1),
    Column("", "text"),
    Column("agreement"),
    Column("accuracy", rank=4),
    Column("of Keras", rank=5),
    Column("max difference", rank=3),
    Column("latency", rank=2),
)


def as_dict(item: Exported) -> dict[str, Any]:
    """A row of ``--json``."""
    return {
        "file": str(item.path),
        "format": item.target.exporter.name,
        "precision": item.target.precision,
        "bytes": item.size_bytes,
        "status": _status(item),
        "verification": item.verification.summary() if item.verification else None,
        "latency_ms": item.latency_ms,
        **({"float_operators": item.quantization.get("float_operators")} if item.quantization else {}),
        **({"error": str(item.error)} if item.error else {}),
    }


def _status(item: Exported) -> str:
    if item.error is not None:
        return "failed"
    if item.verification is None:
        return "unverified"
    return "refused" if item.refused else "verified"


def _verdict(item: Exported) -> str:
    """The status for people. A verification on few images is marked as thin evidence."""
    thin = item.verification is not None and item.verification.thin
    return "passed, thin evidence" if thin else _status(item)


def told(made: tuple[Exported, ...], verify_options: list[str]) -> list[str]:
    """A table of all files, and the next commands for the files that were kept.

    Args:
        made: The exported files.
        verify_options: Options of ``zoo verify`` that repeat the verification.
    """
    from zoo.parity import thin_evidence

    lines = ["\n" + table(_COLUMNS, [_cells(item) for item in made], terminal_width())]
    lines += [
        f"{item.target}: {sentence}"
        for item in made
        if item.verification
        for sentence in thin_evidence(item.verification)
    ]
    kept = [item for item in made if item.kept]
    lines += [f"  {item.path}" for item in kept]
    if kept:
        lines.append(f"To verify it again: {shlex.join(['zoo', 'verify', str(kept[0].path), *verify_options])}")
    return [*lines, *dict.fromkeys(_start(item, kept) for item in kept)]


def _cells(item: Exported) -> tuple[str, ...]:
    values = item.verification.values if item.verification else None
    largest = values.difference.max if values and values.difference else None
    return (
        item.target.exporter.name,
        item.target.precision,
        "-" if item.error else f"{item.size_bytes / 1e6:.2f} MB",
        _verdict(item),
        "-" if values is None else percent(values.agreement),
        "-" if values is None else percent(values.file.accuracy),
        "-" if values is None else percent(values.keras.accuracy),
        "-" if largest is None else f"{largest:.2g}",
        f"{item.latency_ms:.3g} ms" if item.kept else "-",
    )


def _start(item: Exported, kept: list[Exported]) -> str:
    """How to run a bundle: one line for all bundles that are run in the same way."""
    app = item.target.exporter.app
    first = next(other for other in kept if other.target.exporter.app == app)
    folder = first.path.parent
    if app:
        return app.start.format(folder=shlex.quote(str(folder)))
    archive = shlex.quote(f"{folder}.zip")
    return (
        f"On a device: copy and unpack {archive}, then run in its folder:"
        " pip install -r requirements.txt && python run.py photo.jpg"
    )


def verify_options(request: ExportRequest, trained: TrainedModel) -> list[str]:
    """Options of ``zoo verify`` that repeat the verification."""
    options: dict[str, object] = {"--against": trained.run.path if trained.run else request.model}
    options |= {"--weights": request.weights, "--labels": request.labels, "--pixels": request.pixels}
    options |= {"--data": request.data or (None if trained.run else "PHOTOS")}
    options |= {f"--{name.replace('_', '-')}": value for name, value in request.gates.items()}
    return [str(part) for option in options.items() if option[1] is not None for part in option]
