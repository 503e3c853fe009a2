"""Scalar metrics are in one list, and a metric that is added to it is shown everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.made_runs import begin_run
from zoo.atomic import write_csv, write_json
from zoo.cli.summary import per_class_lines, run_as_dict
from zoo.evaluation import Predictions, compare, compute_metrics, metric
from zoo.evaluation.metric import Metric
from zoo.exported import Metadata
from zoo.exporting.card import card
from zoo.registry import exporters
from zoo.report.html import write_report
from zoo.reporter import Reporter
from zoo.run_folder import Run
from zoo.run_folder.info import Metrics
from zoo.workflows.show import ShowRequest, show

BRIER = Metric(
    name="brier_score",
    title="Brier score",
    compute=lambda predictions: float(
        ((predictions.probabilities - np.eye(len(predictions.labels))[predictions.true]) ** 2).sum(axis=1).mean()
    ),
    format=lambda value: f"{value:.4f}",
    meaning="mean squared error of the probabilities",
)


def finished(tmp_path: Path, wrong: int) -> Run:
    labels, n = ("a", "b"), 20
    true = np.arange(n) % 2
    probabilities = np.full((n, 2), 0.2)
    probabilities[np.arange(n), np.where(np.arange(n) < wrong, 1 - true, true)] = 0.8
    given = Predictions(labels, tuple(f"{i}.jpg" for i in range(n)), true, probabilities)
    run = begin_run(tmp_path, labels=list(labels))
    rows = [(file, labels[index], "test", file) for file, index in zip(given.files, given.true, strict=True)]
    write_csv(run.path / "split.csv", ("path", "label", "split", "sha256"), rows)
    given.write_csv(run.path / "predictions.csv")
    write_json(run.path / "metrics.json", compute_metrics(given).as_dict())
    return run


def contents_of(run: Run) -> Any:
    """The content of the model card of an unverified file of a run."""
    metadata = Metadata(
        labels=run.labels,
        image=run.image_spec,
        precision="float32",
        architecture=run.architecture,
        source=run.name,
        model_digest="",
    )
    return SimpleNamespace(
        metadata=metadata,
        exporter=exporters().get("onnx"),
        trained=SimpleNamespace(run=run),
        verification=None,
        quantization=None,
        photos=(),
        file=Path("model.onnx"),
    )


def test_a_metric_added_to_the_list_is_shown_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metric, "METRICS", (*metric.METRICS, BRIER))
    run, other = finished(tmp_path, 3), finished(tmp_path, 0)
    expected = (3 * 2 * 0.8**2 + 17 * 2 * 0.2**2) / 20
    assert run.metrics.brier_score == pytest.approx(expected)
    assert json.loads((run.path / "metrics.json").read_text())["brier_score"] == pytest.approx(expected)
    assert run_as_dict(run)["metrics"]["brier_score"] == run.metrics.brier_score
    shown = f"{expected:.4f}"
    assert f"Brier score {shown}" in per_class_lines(run.metrics)[-1]
    assert f"<dt>Brier score</dt><dd>{shown}</dd>" in write_report(run, None).read_text()
    assert f"| Brier score | {shown} |" in card(contents_of(run))
    side_by_side = compare([run, other])
    header, _, second = side_by_side.render().splitlines()[:3]
    assert "Brier score" in header
    assert shown in second
    assert side_by_side.as_dict()["runs"][1]["brier_score"] == run.metrics.brier_score
    facts = show(ShowRequest(name=run.name, runs=tmp_path), Reporter()).facts
    assert facts["measured"]["Brier score"] == run.metrics.brier_score


def test_a_metric_that_is_not_defined_is_left_out(tmp_path: Path) -> None:
    runs = [finished(tmp_path, wrong) for wrong in (0, 1)]
    assert runs[0].metrics.top_3_accuracy is None
    assert "top-3" not in per_class_lines(runs[0].metrics)[-1]
    assert "top-3" not in compare(runs).render()


def test_runs_of_before_are_read(tmp_path: Path) -> None:
    run = finished(tmp_path, 2)
    older = json.loads((run.path / "metrics.json").read_text())
    for name in ("top_3_accuracy", "top_5_accuracy", "balanced_accuracy"):
        del older[name]
    metrics = Metrics.from_dict({**older, "top_k_accuracy": {"3": 0.7, "5": 0.9}})
    assert (metrics.top_3_accuracy, metrics.top_k_accuracy) == (0.7, {"3": 0.7, "5": 0.9})
    assert (metrics.macro_f1, metrics.balanced_accuracy) == (run.metrics.macro_f1, None)
    with pytest.raises(AttributeError, match=r"There is no metric 'macrof1'. Did you mean 'macro_f1'"):
        _ = metrics.macrof1
    with pytest.raises(ValueError, match="macro_f1' must be a number"):
        Metrics.from_dict({**older, "macro_f1": "high"})
