"""Runs on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo import ImageSpec, Recipe, TrainingError, UsageError
from zoo.runs import create_run, find_runs, open_run

INFO = {"labels": ["a", "b"], "image": ImageSpec().as_dict(), "recipe": Recipe().as_dict(), "seed": 3}


def test_a_run_reads_back_what_was_written(tmp_path: Path) -> None:
    run = open_run(create_run(tmp_path, "simple_cnn", INFO).path)
    assert (run.architecture, run.labels, run.seed) == ("simple_cnn", ("a", "b"), 3)
    assert run.recipe == Recipe()
    assert run.image_spec == ImageSpec()
    assert not run.finished
    assert run.history() == {}


def test_runs_of_one_second_do_not_meet(tmp_path: Path) -> None:
    assert len({create_run(tmp_path, "simple_cnn", INFO).path for _ in range(5)}) == 5


def test_only_finished_runs_are_found_the_newest_first(tmp_path: Path) -> None:
    for name, finished in (("x-20260101-000000", True), ("x-20260301-000000", True), ("x-20260401-000000", False)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(json.dumps({"format": 1, "architecture": "x", **INFO}))
        if finished:
            (tmp_path / name / "metrics.json").write_text("{}")
    (tmp_path / "x-20260501-000000").mkdir()
    (tmp_path / "x-20260501-000000" / "run.json").write_text("no json")
    assert [run.name for run in find_runs(tmp_path, "x")] == ["x-20260301-000000", "x-20260101-000000"]
    assert list(find_runs(tmp_path, "y")) == []


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No run at"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TrainingError, match="Could not read"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(TrainingError, match="not a run description"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"format": 99, "architecture": "x", **INFO}))
    with pytest.raises(UsageError, match="run format 99"):
        open_run(tmp_path)
