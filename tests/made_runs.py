"""Run folders like those at the beginning of a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo import ImageSpec, Recipe
from zoo.records import read_record
from zoo.run_folder import Run, create_run
from zoo.run_folder.info import RunInfo


def info_of(architecture: str = "simple_cnn", **values: Any) -> RunInfo:
    """The content of ``run.json`` from JSON values; omitted values get a default."""
    basics = {"labels": ["a", "b"], "image": ImageSpec().as_dict(), "recipe": Recipe().as_dict(), "seed": 0}
    return read_record(RunInfo, {"architecture": architecture, **basics, **values})


def begin_run(root: Path, name: str | None = None, architecture: str = "simple_cnn", **values: Any) -> Run:
    """A new run folder."""
    return create_run(root, info_of(architecture, **values), name)
