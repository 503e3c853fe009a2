"""Runs on disk."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.made_runs import begin_run
from zoo import ImageSpec, Recipe, TrainingError, UsageError
from zoo.run_folder import find_runs, open_run

INFO = {"labels": ["a", "b"], "image": ImageSpec().as_dict(), "recipe": Recipe().as_dict(), "seed": 3}


def test_a_run_reads_back_what_was_written(tmp_path: Path) -> None:
    run = open_run(begin_run(tmp_path, **INFO).path)
    assert (run.architecture, run.labels, run.seed) == ("simple_cnn", ("a", "b"), 3)
    assert run.recipe == Recipe()
    assert run.image_spec == ImageSpec()
    assert not run.finished
    assert run.history == {}


def test_what_made_a_run_is_flat_and_its_files_worth_keeping_are_listed(tmp_path: Path) -> None:
    run = begin_run(tmp_path, **INFO, versions={"keras": "3.15"}, best_epoch=None)
    expected = {"architecture": "simple_cnn", "seed": 3, "recipe.epochs": Recipe().epochs, "image.height_px": 224}
    assert (expected | {"versions.keras": "3.15"}).items() <= run.settings.items()
    assert not any(isinstance(value, dict) for value in run.settings.values())
    assert "best_epoch" not in run.settings
    bundle = run.path / "exports" / "net-onnx-float32"
    for name in ("net.onnx", "golden/0.png", "__pycache__/run.pyc", ".net.lock"):
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).touch()
    (run.path / "report.html").touch()
    kept = [path.relative_to(run.path).as_posix() for path in run.results]
    assert kept == [
        *("report.html", "run.json"),
        *(f"exports/net-onnx-float32/{name}" for name in ("golden/0.png", "net.onnx")),
    ]


def test_the_newest_run_does_not_depend_on_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tmp_path / "simple_cnn-20260301-000000"  # a run of an earlier zoo, whose time is only in its name
    before.mkdir()
    (before / "run.json").write_text(json.dumps({"format": 1, "architecture": "simple_cnn", **INFO}))
    made = [before.name]
    for clock in ("2026-05-01T12:00", "2026-04-01T12:00", "2026-04-01T12:00", "2001-01-01T00:00", "2026-05-02T00:00"):
        now_ns = int(datetime.fromisoformat(f"{clock}+00:00").timestamp()) * 10**9
        monkeypatch.setattr("time.time_ns", lambda now_ns=now_ns: now_ns)
        run = begin_run(tmp_path, **INFO)
        assert run.info.created_at == f"{clock}:00+00:00"
        made.append(run.name)
    for name in made:
        (tmp_path / name / "metrics.json").write_text("{}")
    assert [run.name for run in find_runs(tmp_path)] == made[::-1]
    assert not (tmp_path / ".lock").exists()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs a time zone that can be set")
def test_names_are_in_utc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        monkeypatch.setattr("time.time_ns", lambda: 1_767_225_600 * 10**9)
        assert begin_run(tmp_path, **INFO).name == "simple_cnn-20260101-000000"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_runs_of_many_processes_stand_in_one_order(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.made_runs import begin_run\n"
        "for _ in range(5): begin_run(Path(sys.argv[1]))"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, tmp_path]) for _ in range(4)]
    assert [process.wait(60) for process in started] == [0] * 4
    orders = [open_run(path).info.order for path in tmp_path.iterdir()]
    assert len(set(orders)) == len(orders) == 20


def test_a_run_beside_one_from_the_end_of_time_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "simple_cnn-99991231-235959"
    path.mkdir()
    (path / "run.json").write_text(json.dumps({"format": 1, "architecture": "simple_cnn", **INFO}))
    assert open_run(begin_run(tmp_path, **INFO).path).seed == 3


def test_a_run_has_the_requested_name(tmp_path: Path) -> None:
    assert begin_run(tmp_path, "balls").path == tmp_path / "balls"
    with pytest.raises(UsageError, match="'balls' already exists"):
        begin_run(tmp_path, "balls")
    assert begin_run(tmp_path, "Bälle 2.1-x").path.is_dir()
    for name in (
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        "../x",
        "/x",
        ".hidden",
        "-x",
        "a\0b",
        "a\nb",
        "x.",
        "a:b",
        "x.keras",
        "y" * 300,
    ):
        with pytest.raises(UsageError, match="must be the name of a folder"):
            begin_run(tmp_path, name, **INFO)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Bälle 2.1-x", "balls"]


def test_runs_of_one_second_do_not_meet(tmp_path: Path) -> None:
    assert len({begin_run(tmp_path, **INFO).path for _ in range(5)}) == 5


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


def test_what_was_done_before_the_epochs_counts_as_preparation(tmp_path: Path) -> None:
    run = begin_run(tmp_path, timings={"load_s": 1.0, "teachers_s": 2.0, "features_s": 4.0})
    run.add_seconds("head_s", 8.0)
    assert run.preparation_s == 14.0
