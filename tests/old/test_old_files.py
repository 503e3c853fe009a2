"""Runs and exported files of older versions can still be read, evaluated, used for predictions and verified."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import zoo

HERE = Path(__file__).resolve().parent
PHOTOS = HERE / "photos"
VERSIONS = sorted(path.parent.name for path in HERE.glob("*/run"))
FILES = [f"{version}/{path.name}" for version in VERSIONS for path in sorted((HERE / version).glob("tiny_net*"))]


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the fixtures, because evaluations are written to runs."""
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    return Path(shutil.copytree(HERE, tmp_path / "old", ignore=shutil.ignore_patterns("*.py", "__pycache__")))


def answers(version: str) -> dict[Path, dict[str, str]]:
    """The predictions of the finished run: for each photo, a row of `predictions.csv`."""
    with (HERE / version / "run" / "predictions.csv").open(newline="", encoding="utf-8") as file:
        return {PHOTOS / row["file"]: row for row in csv.DictReader(file)}


def shares(version: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    columns = ("p:berry", "p:leaf")
    return np.array([[float(row[column]) for column in columns] for row in answers(version).values()])


def test_every_version_has_a_run_and_files_of_both_formats() -> None:
    assert len(VERSIONS) >= 2
    for version in VERSIONS:
        assert (HERE / version / "run" / "model.keras").is_file()
        assert {Path(name).suffix for name in FILES if name.startswith(f"{version}/")} >= {".onnx"}
        assert f"`{version}`" in (HERE.parents[1] / "docs" / "upgrading.md").read_text(encoding="utf-8")
    assert any(name.endswith(".tflite") for name in FILES)
    assert any(name.endswith(".zip") for name in FILES)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_run_is_read_evaluated_and_used_to_predict(version: str, old: Path) -> None:
    run = zoo.load(old / version / "run")
    assert isinstance(run, zoo.Run)
    recorded = json.loads((old / version / "run" / "metrics.json").read_text())
    assert (run.metrics.accuracy, run.metrics.n) == (recorded["accuracy"], 12)
    assert run.labels == ("berry", "leaf")
    assert run.info.image.version == 1  # the pixels with which it was trained
    assert len(run.history["loss"]) >= 1 or run.info.head
    assert len(run.predictions) == 12
    measured = zoo.evaluate(run, PHOTOS / "test", quiet=True)
    assert (measured.accuracy, measured.n) == (recorded["accuracy"], 12)
    found = run.predict(list(answers(version)), top=2)
    assert [answer.label for answer in found] == [row["predicted"] for row in answers(version).values()]
    probabilities = [[dict(answer.top)[label] for label in run.labels] for answer in found]
    np.testing.assert_allclose(probabilities, shares(version), atol=1e-5)


@pytest.mark.parametrize("name", FILES)
def test_an_old_file_is_read_used_to_predict_and_verified(name: str, old: Path) -> None:
    version = name.partition("/")[0]
    file = zoo.load(old / name)
    assert isinstance(file, zoo.ExportedFile)
    assert (file.verification.passed, file.precision, file.image) == (
        True,
        "float32",
        zoo.load(old / version / "run").info.image,
    )
    found = file.predict(list(answers(version)), top=2)
    probabilities = [[dict(answer.top)[label] for label in ("berry", "leaf")] for answer in found]
    np.testing.assert_allclose(probabilities, shares(version), atol=1e-5)
    if not name.endswith(".zip"):
        verified = zoo.verify(file, old / version / "run", data=PHOTOS / "test", quiet=True)
        assert (verified.passed, verified.n) == (True, 12)


def test_old_runs_are_listed_shown_and_compared(old: Path) -> None:
    first, *others = (zoo.load(old / version / "run") for version in VERSIONS)
    found = zoo.compare(first, *others)
    assert [each.test_images for each in found.runs] == [12] * len(VERSIONS)
    assert all(run.settings["image.height_px"] == 24 for run in (first, *others))
