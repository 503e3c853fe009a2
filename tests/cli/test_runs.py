"""``zoo runs``, ``zoo show``, and what ``zoo train`` prints for scripts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.conftest import RunZoo, Zoo


def test_runs_are_listed_and_shown(zoo: Zoo, digits_run: Path, tmp_path: Path) -> None:
    assert "There is no finished run in runs" in zoo("runs").out
    shutil.copytree(digits_run, tmp_path / "runs" / "balls")
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "run.json").write_text("{")
    listed = zoo("runs")
    assert listed.code == 0
    header, row = listed.out.splitlines()
    assert header.split()[:3] == ["run", "architecture", "data"]
    assert row.split()[:3] == ["balls", "simple_cnn", "digits"]
    (told,) = json.loads(zoo("runs", "--json", "--data", "digits").out)
    assert told["name"] == "balls"
    assert 0 < told["accuracy_interval"][0] < told["accuracy"] < told["accuracy_interval"][1] <= 1
    assert json.loads(zoo("runs", "--json", "--data", "photos").out) == []
    assert zoo("runs", "--data", "photos").out == "No finished run in runs matches.\n"
    assert json.loads(zoo("runs", "--json", "--architecture", "mobilenetv2").out) == []


def test_a_run_an_architecture_and_an_exporter_are_shown(zoo: Zoo, digits_run: Path) -> None:
    run = zoo("show", digits_run)
    assert f"run {digits_run.name}" in run.out
    assert "learning_rate" in run.out
    facts = json.loads(zoo("show", digits_run, "--json").out)
    assert facts["kind"] == "run"
    assert facts["measured"]["test images"] == 376
    assert facts["recipe"]["epochs"] == 6
    architecture = json.loads(zoo("show", "simple_cnn", "--json").out)
    assert architecture["recipes"]["article"]["epochs"] > 0
    assert architecture["parameters"] > 1000
    exporter = zoo("show", "onnx")
    assert "onnxruntime" in exporter.out
    unknown = zoo("show", "simple_cn")
    assert unknown.code == 2
    assert "Did you mean 'simple_cnn'" in unknown.err


def test_scripts_get_json_and_nothing_else(run_zoo: RunZoo, tmp_path: Path) -> None:
    asked = ("train", "simple_cnn", "--size", "16", "--epochs", "1", "--precision", "float32", "--name", "balls")
    done = run_zoo(*asked, "--json", "--quiet")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["run"] == "runs/balls"
    assert told["metrics"]["n"] == 376
    assert told["info"]["architecture"] == "simple_cnn"
    assert "epoch" not in done.err
    again = run_zoo("train", "--repeat", "runs/balls/zoo.yaml", "--name", "again", "--quiet")
    assert again.code == 0, again.err
    first, second = (tmp_path / "runs" / name / "predictions.csv" for name in ("balls", "again"))
    assert first.read_bytes() == second.read_bytes()
