"""The files and folders that the examples of the documentation use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import zoo
from tests.browser.conftest import open_page, served  # noqa: F401  (fixtures)
from zoo.data.named import find_source


@pytest.fixture(scope="module")
def folder_of_examples(digits_run: Path, digits_exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run ``runs/digits``, its ONNX ``bundle``, ``photos`` of digits, and a photo."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(digits_run, folder / "runs" / "digits")
    shutil.copytree(digits_exports / "simple_cnn-onnx-float32", folder / "bundle")
    run = zoo.load(digits_run)
    assert isinstance(run, zoo.Run)
    root = find_source(run.info.data.source)[1]
    tested = [row for row in run.split() if row["split"] == "test"]
    for label in ("0", "1", "2"):
        (folder / "photos" / label).mkdir(parents=True)
        for row in [row for row in tested if row["label"] == label][:2]:
            shutil.copy(root / row["path"], folder / "photos" / label)
    shutil.copy(next((folder / "photos" / "0").iterdir()), folder / "photo.png")
    return folder
