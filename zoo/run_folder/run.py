"""A training run on disk: one folder that holds everything needed to read, repeat, resume and export it.

run.json          arguments, recipe, ImageSpec, labels, seed, data digest and counts, versions, backend, timings, and
                  its place in the order of runs; ``RunInfo`` is its record
zoo.yaml          what `zoo train --repeat` takes to train the same once more
split.csv         path, label, split, sha256 of every image used
skipped.csv       path and reason of every file that could not be used
unlabelled.csv    path, sha256 and use of every photo without a label, of a run with teachers that was given some
seen.csv          sha256 of photos that the run knows through its teachers, beside those of split.csv
history.csv       one row an epoch
checkpoints/      what --resume needs; of no use once the run is finished
model.keras       the best weights, float32, for keras.models.load_model
predictions.csv   file, true, predicted, probability of each class, on the test split
cross_validation.csv  the same on the training images, where the folds of a cross-validation predicted them
metrics.json      written last of the results: a run is finished once it stands
plots/*.png, report.html, exports/
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo.atomic import make_folder, read_csv, read_text, write_json
from zoo.errors import TrainingError, UsageError
from zoo.image_spec import ImageSpec
from zoo.locks import locked
from zoo.recipe import Recipe
from zoo.records import read_object, read_record
from zoo.run_folder.info import LATEST, Metrics, RunInfo

RUN_FORMAT = 1
DEFAULT_ROOT = Path("runs")

#: Fields of ``run.json`` that say what made a run.
_SETTINGS = (
    *("architecture", "weights", "options", "recipe", "image", "seed", "split_seed", "data", "backend", "precision"),
    *("versions", "best_epoch"),
)
#: Files of a run that are worth keeping when the run is not.
_RESULTS = (
    "report.html",
    "run.json",
    "zoo.yaml",
    "metrics.json",
    "history.csv",
    "predictions.csv",
    "cross_validation.csv",
)


class Run:
    """A run folder and what its ``run.json`` says.

    Args:
        path: Of the folder.
        info: The record; ``update`` changes it, here and in the file.
    """

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self.info = info

    def __repr__(self) -> str:
        return f"<Run {self.path}>"

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def architecture(self) -> str:
        return self.info.architecture

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs."""
        return self.info.labels

    @property
    def image_spec(self) -> ImageSpec:
        return self.info.image

    @property
    def recipe(self) -> Recipe:
        return self.info.recipe

    @property
    def seed(self) -> int:
        return self.info.seed

    @property
    def model_path(self) -> Path:
        return self.path / "model.keras"

    @property
    def finished(self) -> bool:
        return (self.path / "metrics.json").is_file()

    @cached_property
    def metrics(self) -> Metrics:
        """``metrics.json``; only a finished run has it."""
        path = self.path / "metrics.json"
        with _reading(path):
            metrics = Metrics.from_dict(read_object(read_text(path)))
            metrics.refuse_other_labels(self.labels)
            return metrics

    @property
    def history(self) -> dict[str, list[float]]:
        """Column name to one value an epoch; empty before the first epoch."""
        path = self.path / "history.csv"
        rows = self._rows("history.csv", ()) if path.is_file() else []
        with _reading(path):
            return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}

    @property
    def settings(self) -> dict[str, Any]:
        """What made the run, flat for experiment trackers: name to value, such as ``recipe.epochs``.

        Architecture, weights, options, recipe, image rule, seeds, source and digest of the data, backend, precision and
        versions; and ``best_epoch``, whose weights were kept. What a run has no value of is left out.

        >>> run = zoo.load("runs/digits")
        >>> run.settings["recipe.epochs"], run.settings["image.height_px"], run.settings["data.source"]
        (6, 32, 'digits')
        """
        known = {name: getattr(self.info, name) for name in _SETTINGS}
        known["data"] = {"source": self.info.data.source, "digest": self.info.data.digest}
        return dict(_flat(known))

    @property
    def results(self) -> list[Path]:
        """Files worth keeping elsewhere: records, figures and report, and every file of the bundles in ``exports``.

        >>> [path.name for path in zoo.load("runs/digits").results][:3]
        ['report.html', 'run.json', 'zoo.yaml']
        """
        exported = (path.relative_to(self.path) for path in sorted(self.path.glob("exports/*/**/*")))
        shown = [path for path in exported if not any(part.startswith((".", "__")) for part in path.parts)]
        kept = [*map(Path, _RESULTS), *shown]
        return [self.path / path for path in kept if (self.path / path).is_file()]

    def split(self) -> list[dict[str, str]]:
        """Rows of ``split.csv``: path, label, split (``train``, ``val``, ``test``), sha256."""
        return self._rows("split.csv", ("path", "label", "split", "sha256"))

    def unlabelled(self) -> list[dict[str, str]]:
        """Rows of ``unlabelled.csv``: path, sha256, use (``trained``, or why it was left out)."""
        return self._rows("unlabelled.csv", ("path", "sha256", "use"))

    def learned_from(self) -> frozenset[str]:
        """SHA-256 of all photos that trained or chose the model, or one of those that taught it."""
        found = {row["sha256"] for row in self.split() if row["split"] != "test"}
        if (self.path / "seen.csv").is_file():
            found |= {row["sha256"] for row in self._rows("seen.csv", ("sha256",))}
        return frozenset(found)

    def skipped(self) -> list[dict[str, str]]:
        """Rows of ``skipped.csv``: path, reason."""
        return self._rows("skipped.csv", ("path", "reason"))

    def _rows(self, name: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
        path = self.path / name
        with _reading(path):
            rows = read_csv(path)
            for number, row in enumerate(rows, start=1):
                values = [row.get(column) for column in columns]
                if None in row or None in values or None in row.values():
                    raise ValueError(f"row {number} has other columns than {', '.join(columns or row.keys() - {None})}")
                if any("\0" in value for value in row.values()):
                    raise ValueError(f"row {number} holds a null byte")
            return rows

    def update(self, **changes: Any) -> None:
        """Replaces fields of ``info``, and writes ``run.json`` anew."""
        self.info = replace(self.info, **changes)
        write_json(self.path / "run.json", self.info.as_dict())

    @property
    def preparation_s(self) -> float:
        """Seconds spent before the epochs: on what teachers predict, on features, and on the choice of a head."""
        return sum(self.info.timings.get(name, 0.0) for name in ("teachers_s", "features_s", "head_s"))

    def add_seconds(self, timing: str, seconds: float) -> None:
        """Adds to one of the timings; an interrupted run has some of it already."""
        timings = self.info.timings
        self.update(timings={**timings, timing: round(timings.get(timing, 0.0) + seconds, 2)})


def create_run(root: Path, info: RunInfo, name: str | None = None) -> Run:
    """Makes a folder in ``root`` and writes its ``run.json``.

    The folder is ``<architecture>-<timestamp>``, in UTC, unless ``name`` says otherwise. Two runs started in the same
    second get two folders.

    Args:
        root: Folder of runs; it is made where there is none.
        info: What is known before training; its format, its order and its date are set here.
        name: Of the folder.

    Raises:
        UsageError: There is something of that ``name``.
        TrainingError: The folder cannot be written.
    """
    make_folder(root)
    with locked(root / ".lock", remove=True):
        now = time.time_ns() // 1000
        order = min(LATEST, max([now, *(_order(run) + 1 for run in _all_runs(root))]))
        path = _make_named(root, name) if name is not None else _make_dated(root, info.architecture, now)
        moment = datetime.fromtimestamp(now / 1e6, UTC).isoformat(timespec="seconds")
        run = Run(path, info)
        try:
            run.update(format=RUN_FORMAT, order=order, created_at=moment)
        except BaseException:
            path.rmdir()
            raise
        return run


def refuse_name(root: Path, name: str) -> None:
    """Asked before long work: raises ``UsageError`` where a run cannot have that name."""
    if (
        not _NAME.fullmatch(name)
        or not name.isprintable()
        or len(name.encode("utf-8", "replace")) > 200
        or Path(name).suffix.lower() in _SUFFIXES
    ):
        raise UsageError(
            f"--name must be the name of a folder inside {root}. Received: {name!r:.100}.",
            "Use letters, digits, '-' and '_', and a letter or a digit first, such as --name balls.",
        )
    if (root / name).exists() or (root / name).is_symlink():
        raise UsageError(f"There is already a '{name}' in {root}.", "Choose another --name, or remove that folder.")


#: One folder on every system: no separator, no drive, no hidden name, no blank or dot at the end.
_NAME = re.compile(r"[^\W_][^/\\:*?\"<>|]*(?<![. ])")

#: Commands would take such a name for a file.
_SUFFIXES = (".keras", ".tflite", ".onnx", ".zip", ".json", ".h5")


def _make_named(root: Path, name: str) -> Path:
    refuse_name(root, name)
    path = root / name
    try:
        path.mkdir()
    except OSError as error:
        raise _not_made(path, error) from error
    return path


def _make_dated(root: Path, architecture: str, now_us: int) -> Path:
    stamp = f"{datetime.fromtimestamp(now_us / 1e6, UTC):%Y%m%d-%H%M%S}"
    for attempt in range(1000):
        path = root / f"{architecture}-{stamp}{f'-{attempt}' if attempt else ''}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise _not_made(path, error) from error
        return path
    raise TrainingError(f"Could not find a free name for a run in {root}.")


def _not_made(path: Path, error: OSError) -> TrainingError:
    return TrainingError(f"Could not make {path}: {error.strerror}.", "Choose another folder: --runs.")


def open_run(path: Path) -> Run:
    """Reads a run folder.

    Raises:
        UsageError: There is no run at ``path``, or a newer zoo wrote it.
        TrainingError: Its ``run.json`` is damaged.
    """
    file = path / "run.json"
    if not file.is_file():
        hint = "A run is a folder with a run.json, such as runs/simple_cnn-20260131-120000."
        raise UsageError(f"No run at '{path}'.", hint)
    with _reading(file):
        values = read_object(read_text(file))
    if not {"architecture", "labels", "image", "recipe", "seed"} <= set(values):
        raise TrainingError(f"{file} is not a run description.", "Train again.")
    if values.get("format") != RUN_FORMAT:
        raise UsageError(f"{path} has run format {values.get('format')!r:.40}; this zoo reads {RUN_FORMAT}.")
    with _reading(file):
        return Run(path, read_record(RunInfo, values))


def find_runs(root: Path, architecture: str | None = None) -> Iterator[Run]:
    """Finished runs below ``root``, the newest first. Folders that are no run are passed over."""
    for run in sorted(_all_runs(root), key=lambda run: (_order(run), run.name), reverse=True):
        if run.finished and architecture in (None, run.architecture):
            yield run


def _all_runs(root: Path) -> Iterator[Run]:
    for path in root.glob("*/run.json"):
        try:
            yield open_run(path.parent)
        except (UsageError, TrainingError):
            continue


def _order(run: Run) -> int:
    """Where a run stands among others, in microseconds since 1970; a run of before tells by its name or its file."""
    if run.info.order is not None:
        return run.info.order
    if stamp := re.search(r"\d{8}-\d{6}", run.name):
        try:  # names were in local time
            return int(datetime.strptime(stamp.group(), "%Y%m%d-%H%M%S").timestamp() * 1e6)
        except (ValueError, OverflowError, OSError):
            pass
    return (run.path / "run.json").stat().st_mtime_ns // 1000


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no mapping, its name the names that lead to it, joined by dots."""
    for name, value in values.items():
        fields = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(fields, Mapping):
            yield from _flat(fields, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what damaged files raise into an error that names the file."""
    try:
        yield
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrainingError(f"Could not read {path}: {reason}.", "The run is damaged; train again.") from error
    except UsageError as error:
        raise TrainingError(f"Could not read {path}: {error.message}", error.hint) from error
