"""Runs that were edited, damaged or made by anybody either raise an error that names the file, or can be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.hostile import mutants
from tests.made_runs import begin_run
from zoo import ImageSpec, Recipe, TrainingError, UsageError, ZooError
from zoo.atomic import write_csv, write_json, write_text
from zoo.cli.summary import per_class_lines
from zoo.edge.confidence import min_confidence
from zoo.evaluation import compare, compute_metrics
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.trained import of_run
from zoo.run_folder import Run, find_runs
from zoo.training.plan import refuse_other_plan
from zoo.workflows.finding import described, find_run
from zoo.workflows.planning import TrainRequest, make_plan


@pytest.fixture
def run(tmp_path: Path) -> Run:
    info = {
        "zoo_version": "0.1.0",
        "distribution": "keras-edge-zoo 0.1.0",
        "command": "zoo train simple_cnn",
        "data": {
            "source": str(tmp_path),
            "root": str(tmp_path),
            "digest": "ab",
            "counts": {"train": {"a": 3, "b": 4}, "test": {"a": 2, "b": 2}},
            "split_origin": {"train": "made"},
            "skipped": 0,
            "notes": ["a note"],
        },
        "recipe_name": "default",
        "recipe": Recipe().as_dict(),
        "image": ImageSpec().as_dict(),
        "labels": ["a", "b"],
        "weights": "none",
        "options": {"width": 0.5, "blocks": [1, 2]},
        "seed": 3,
        "split_seed": 0,
        "tensorboard": False,
        "backend": "tensorflow",
        "precision": "float32",
        "versions": {"keras": "3.15.1"},
        "machine": {"cpu": "x", "cores": 2},
        "timings": {"load_s": 1.5, "train_s": 3},
        "temperature": 1.1,
        "parameters": 123,
        "best_epoch": 2,
        "leaks": {"test_images": 1, "of": 4, "accuracy_without": 0.5, "n": 3},
    }
    made = begin_run(tmp_path / "runs", "balls", **info)
    found = Predictions(
        ("a", "b"), tuple("wxyz"), np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7]])
    )
    found.write_csv(made.path / "predictions.csv")
    write_csv(
        made.path / "split.csv", ("path", "label", "split", "sha256"), [(name, "a", "test", "00") for name in "wxyz"]
    )
    metrics = compute_metrics(found, {"a": 3, "b": 4}).as_dict()
    metrics["calibration_bins"] = metrics["calibration_bins"][:1]  # each would be changed 20 times
    write_json(made.path / "metrics.json", metrics)
    return made


def use(path: Path, file: str = "metrics.json") -> Run:
    """Uses a run in every way in which commands use it before they load Keras."""
    run = find_run(str(path), path.parent)
    assert run.info.architecture == run.architecture
    trained = of_run(run)
    assert f"trained on {run.info.data.source}" in described(run.architecture, trained)
    make_plan(TrainRequest(), run)
    refuse_other_plan(run, {})
    run.split()
    assert run.history == {}
    list(find_runs(path.parent))
    if file == "run.json":
        return run
    str(run.metrics)
    per_class_lines(run.metrics)
    min_confidence("auto" if run.metrics.min_confidence else None, run.metrics.as_dict(), trained.name)
    compare([run]).render()
    return run


def test_every_value_of_every_field_is_checked(run: Run) -> None:
    use(run.path)
    for name in ("run.json", "metrics.json"):
        file = run.path / name
        whole = file.read_text()
        accepted = 0
        for what, text in mutants(json.loads(whole)):
            file.write_text(text)
            try:
                found = use(run.path, name)
            except ZooError:
                continue
            except Exception as error:
                raise AssertionError(f"{name}: {what}: {error!r}") from error
            else:
                accepted += 1
                assert found.architecture == "simple_cnn", what
                assert all(isinstance(label, str) and "\0" not in label for label in found.labels), what
        assert accepted, "texts such as the machine's name may be anything"
        file.write_text(whole)


@pytest.mark.parametrize("architecture", ["../../x", "/tmp/x", "a/b", "..", "", 3, None, "simple_cnn\0"])
def test_an_architecture_is_never_a_path(run: Run, architecture: Any) -> None:
    write_json(run.path / "run.json", run.info.as_dict() | {"architecture": architecture})
    with pytest.raises(TrainingError, match=r"run\.json.*'architecture'"):
        find_run("balls", run.path.parent)


def test_rows_of_a_damaged_table_are_refused(run: Run) -> None:
    for text in ("path,label\nx,a\n", "path,label,split,sha256\nx,a\n", "path,label,split,sha256\nx,a,b,c,d,e\n"):
        write_text(run.path / "split.csv", text)
        with pytest.raises(TrainingError, match=r"split\.csv: row 1 has other columns"):
            run.split()
    write_text(run.path / "history.csv", "epoch,loss\n1,high\n")
    with pytest.raises(TrainingError, match=r"history\.csv: could not convert"):
        assert run.history == {}


def test_a_threshold_without_its_accuracy_is_refused_before_it_is_drawn(run: Run) -> None:
    metrics = json.loads((run.path / "metrics.json").read_text())
    write_json(run.path / "metrics.json", metrics | {"min_confidence": {"suggested": 0.8, "target_accuracy": None}})
    with pytest.raises(TrainingError, match=r"'min_confidence\.target_accuracy' must be a number"):
        _ = run.metrics


def test_a_newer_field_of_the_recipe_is_not_left_out_in_silence(run: Run) -> None:
    write_json(run.path / "run.json", run.info.as_dict() | {"recipe": {**Recipe().as_dict(), "teacher": "x"}})
    with pytest.raises(TrainingError, match="teacher"):
        find_run("balls", run.path.parent)


def test_no_run_of_that_name_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No run at"):
        find_run("bals", tmp_path)
