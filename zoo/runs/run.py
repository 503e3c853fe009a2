"""A training run on disk: one folder that holds everything needed to read, repeat, resume and export it.

run.json          arguments, recipe, ImageSpec, labels, seed, data digest and counts, versions, backend, timings
split.csv         path, label, split, sha256 of every image used
skipped.csv       path and reason of every file that could not be used
history.csv       one row an epoch
checkpoints/      what --resume needs; of no use once the run is finished
model.keras       the best weights, float32, for keras.models.load_model
predictions.csv   file, true, predicted, probability of each class, on the test split
metrics.json      written last of the results: a run is finished once it stands
plots/*.png, report.html, exports/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.errors import TrainingError, UsageError
from zoo.image_spec import ImageSpec
from zoo.recipe import Recipe
from zoo.runs.atomic import make_folder, read_csv, read_text, write_json

RUN_FORMAT = 1
DEFAULT_ROOT = Path("runs")


@dataclass(frozen=True)
class Run:
    """A run folder and the content of its ``run.json``."""

    path: Path
    info: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def architecture(self) -> str:
        return str(self.info["architecture"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs."""
        return tuple(self.info["labels"])

    @property
    def image_spec(self) -> ImageSpec:
        return ImageSpec.from_dict(self.info["image"])

    @property
    def recipe(self) -> Recipe:
        return Recipe.from_dict(self.info["recipe"])

    @property
    def asked_recipe(self) -> Recipe:
        """The recipe as it was asked for: with ``flip`` as it was before the data set decided what ``auto`` is."""
        recipe = self.recipe
        asked = self.info.get("flip", {}).get("asked", recipe.ranges.flip)
        return recipe.with_values({"flip": asked})

    @property
    def seed(self) -> int:
        return int(self.info["seed"])

    @property
    def model_path(self) -> Path:
        return self.path / "model.keras"

    @property
    def finished(self) -> bool:
        return (self.path / "metrics.json").is_file()

    @cached_property
    def metrics(self) -> dict[str, Any]:
        """``metrics.json``; only a finished run has it."""
        return dict(_read_json(self.path / "metrics.json"))

    def history(self) -> dict[str, list[float]]:
        """Column name to one value an epoch; empty before the first epoch."""
        path = self.path / "history.csv"
        rows = read_csv(path) if path.is_file() else []
        return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}

    def split(self) -> list[dict[str, str]]:
        """Rows of ``split.csv``: path, label, split (``train``, ``val``, ``test``), sha256."""
        return read_csv(self.path / "split.csv")

    def skipped(self) -> list[dict[str, str]]:
        """Rows of ``skipped.csv``: path, reason."""
        return read_csv(self.path / "skipped.csv")

    def save_info(self) -> None:
        write_json(self.path / "run.json", self.info)


def create_run(root: Path, architecture: str, info: dict[str, Any]) -> Run:
    """Makes ``root/<architecture>-<timestamp>/`` and writes its ``run.json``.

    Two runs started in the same second get two folders.
    """
    make_folder(root)
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        path = root / f"{architecture}-{stamp}{f'-{attempt}' if attempt else ''}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise TrainingError(
                f"Could not make {path}: {error.strerror}.", "Choose another folder: --runs."
            ) from error
        run = Run(path, {"format": RUN_FORMAT, "architecture": architecture, **info})
        try:
            run.save_info()
        except TrainingError:
            path.rmdir()
            raise
        return run
    raise TrainingError(f"Could not find a free name for a run in {root}.")


def open_run(path: Path) -> Run:
    """Reads a run folder.

    Raises:
        UsageError: There is no run at ``path``, or a newer zoo wrote it.
        TrainingError: Its ``run.json`` is damaged.
    """
    if not (path / "run.json").is_file():
        hint = "A run is a folder with a run.json, such as runs/simple_cnn-20260131-120000."
        raise UsageError(f"No run at '{path}'.", hint)
    info = _read_json(path / "run.json")
    if not isinstance(info, dict) or not {"architecture", "labels", "image", "recipe", "seed"} <= set(info):
        raise TrainingError(f"{path / 'run.json'} is not a run description.", "Train again.")
    if info.get("format") != RUN_FORMAT:
        raise UsageError(f"{path} has run format {info.get('format')!r}; this zoo reads {RUN_FORMAT}.")
    return Run(path, info)


def find_runs(root: Path, architecture: str | None = None) -> Iterator[Run]:
    """Finished runs below ``root``, the newest first. Folders that are no run are passed over."""
    for path in sorted(root.glob("*/run.json"), key=_age, reverse=True):
        try:
            run = open_run(path.parent)
        except (UsageError, TrainingError):
            continue
        if run.finished and architecture in (None, run.architecture):
            yield run


def _age(path: Path) -> tuple[str, float]:
    stamp = re.search(r"(\d{8}-\d{6})", path.parent.name)
    return (stamp.group(1) if stamp else "", path.stat().st_mtime)


def _read_json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise TrainingError(f"Could not read {path}: {error}.", "The run is damaged; train again.") from error
