"""The details of a run, an architecture or an exporter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, did_you_mean
from zoo.figures import percent
from zoo.interfaces import Architecture, Exporter
from zoo.registry import architectures, datasets, exporters
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT, Run, open_run
from zoo.workflows.host import host_kept
from zoo.workflows.runs import exported_files


@dataclass(frozen=True, kw_only=True)
class ShowRequest:
    """What to show.

    Args:
        name: Folder or name of a run, or name of an architecture or of an exporter.
        runs: Folder of runs.
    """

    name: str
    runs: Path = DEFAULT_ROOT


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The details of one item.

    Args:
        kind: ``run``, ``architecture`` or ``exporter``.
        name: Its name.
        facts: Values by title. A value is text, a number, or another such mapping. It can be written as JSON.
    """

    kind: str
    name: str
    facts: Mapping[str, Any]


def show(request: ShowRequest, reporter: Reporter) -> Shown:
    """Collects the details of a run, an architecture or an exporter.

    Raises:
        UsageError: The name is unknown, or two distributions offer it.
    """
    name = request.name
    for path in (Path(name), request.runs / name):
        if (path / "run.json").is_file():
            run = open_run(path)
            return Shown(kind="run", name=run.name, facts=_of_run(run))
    if name in architectures():
        offer = architectures().offer(name)
        owner = f"{offer.distribution} {offer.version}"
        return Shown(kind="architecture", name=name, facts=_of_architecture(offer.record, owner, reporter))
    if name in exporters():
        written = exporters().offer(name)
        owner = f"{written.distribution} {written.version}"
        return Shown(kind="exporter", name=name, facts=_of_exporter(written.record, owner))
    if missing := architectures().missing(name):
        raise missing
    known = [found.record.name for registry in (architectures(), exporters(), datasets()) for found in registry]
    raise UsageError(
        f"There is no run, no architecture and no exporter '{name}'.{did_you_mean(name, known)}",
        "`zoo runs` lists the runs, and `zoo list` everything else.",
    )


def _of_run(run: Run) -> dict[str, Any]:
    info = run.info
    counts = {split: sum(of_class.values()) for split, of_class in info.data.counts.items()}
    facts: dict[str, Any] = {
        "folder": str(run.path),
        "architecture": f"{run.architecture} ({info.distribution})" if info.distribution else run.architecture,
        "began": info.created_at,
        "data": {"source": info.data.source, **counts},
        "classes": list(run.labels),
        "image": str(info.image),
        "recipe": {"name": info.recipe_name, **run.recipe.settings()},
        "weights": info.weights,
        "options": dict(info.options),
        "seed": run.seed,
        "trained": {"backend": info.backend, "precision": info.precision, **info.timings},
        "parameters": info.parameters,
        "state": "finished" if run.finished else "not finished",
    }
    if info.taught:
        facts["taught by"] = {
            each.run: f"{each.architecture}, accuracy {percent(each.accuracy)} on {each.n} test images"
            for each in info.taught.teachers
        }
        if info.taught.unlabelled:
            facts["without labels"] = {
                "source": info.taught.unlabelled.source,
                "photos": str(info.taught.unlabelled),
            }
    if run.finished:
        from zoo.evaluation.metric import defined

        metrics = run.metrics
        facts["measured"] = {
            "accuracy": metrics.accuracy,
            "95 % interval": list(metrics.accuracy_interval),
            "test images": metrics.n,
            **{metric.title: value for metric, value in defined(metrics)},
        }
        facts["warnings"] = [warning.sentence for warning in metrics.warnings]
        facts["report"] = str(run.path / "report.html")
    facts["exported"] = list(exported_files(run.path / "exports"))
    facts["command"] = info.command
    return facts


def _of_architecture(record: Architecture, owner: str, reporter: Reporter) -> dict[str, Any]:
    return {
        "summary": record.summary,
        "from": owner,
        "image": str(record.image),
        "parameters": _parameters(record, reporter),
        "backbone ends at": record.backbone,
        "weights": {weights.name: weights.summary for weights in record.weights},
        "recipes": {name: recipe.settings() for name, recipe in record.recipes.items()},
        "expected failures of checks": dict(record.expected_failures),
    }


def _parameters(record: Architecture, reporter: Reporter) -> int:
    """Number of parameters of the network with two classes."""
    from zoo.backend import start_keras

    reporter.stage(f"Building {record.name} for two classes")
    with host_kept():
        start_keras()
        return int(record.build(record.image.input_shape, 2).count_params())


def _of_exporter(record: Exporter, owner: str) -> dict[str, Any]:
    return {
        "summary": record.summary,
        "from": owner,
        "suffix": record.suffix,
        "precisions": list(record.precisions),
        "on the device": list(record.requires),
        "variant of": record.variant_of,
        "what other programs must do": dict(record.notes),
    }
