"""A training run on disk: one folder with everything that is needed to read, repeat, resume and export it.

run.json          arguments, recipe, ImageSpec, labels, seed, digest and image counts of the data, versions, backend,
                  timings, and the position of the run in the order of runs; read as ``RunInfo``
zoo.yaml          settings for `zoo train --repeat`
split.csv         path, label, split and sha256 of every image that was used
skipped.csv       path of every file that could not be used, and the reason why
unlabelled.csv    path, sha256 and use of every photo without a label, if there were any
seen.csv          sha256 of further photos on which the teachers of the run were trained
history.csv       one row per epoch
checkpoints/      state for --resume; not needed once the run is finished
model.keras       the best weights, float32, for keras.models.load_model
predictions.csv   file, true class, predicted class and probability of each class, for the test split
cross_validation.csv  the same for the training images, if they were predicted in a cross-validation
metrics.json      metrics on the test split; written after all other results, so a run with this file is finished
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

#: Fields of ``run.json`` that determine the result of a run.
_SETTINGS = (
    *("architecture", "weights", "options", "recipe", "image", "seed", "split_seed", "data", "backend", "precision"),
    *("versions", "best_epoch"),
)
#: Files of a run for an experiment tracker.
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
    """A run folder and the record of its ``run.json``.

    Args:
        path: Path of the folder.
        info: The record. ``update`` changes it here and in the file.
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
        """``metrics.json``, which only a finished run has."""
        path = self.path / "metrics.json"
        with _reading(path):
            metrics = Metrics.from_dict(read_object(read_text(path)))
            metrics.refuse_other_labels(self.labels)
            return metrics

    @property
    def history(self) -> dict[str, list[float]]:
        """One value per epoch, by column name. Empty before the first epoch."""
        path = self.path / "history.csv"
        rows = self._rows("history.csv", ()) if path.is_file() else []
        with _reading(path):
            return {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else ())}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run by name, such as ``recipe.epochs``, in a flat form for experiment trackers.

        They are architecture, weights, options, recipe, image specification, seeds, source and digest of the data,
        backend, precision, versions, and ``best_epoch``, whose weights were kept. Settings without a value are left
        out.

        >>> run = zoo.load("runs/digits")
        >>> run.settings["recipe.epochs"], run.settings["image.height_px"], run.settings["data.source"]
        (6, 32, 'digits')
        """
        known = {name: getattr(self.info, name) for name in _SETTINGS}
        known["data"] = {"source": self.info.data.source, "digest": self.info.data.digest}
        return dict(_flat(known))

    @property
    def results(self) -> list[Path]:
        """Files for an experiment tracker: records, metrics, report, and every file of the bundles in ``exports``.

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
        """Rows of ``unlabelled.csv``: path, sha256, use (``trained``, or the reason why it was left out)."""
        return self._rows("unlabelled.csv", ("path", "sha256", "use"))

    def learned_from(self) -> frozenset[str]:
        """SHA-256 of all photos that were used to train or choose the model or one of its teachers."""
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
                    raise ValueError(f"row {number} contains a null byte")
            return rows

    def update(self, **changes: Any) -> None:
        """Replaces fields of ``info``, and rewrites ``run.json``."""
        self.info = replace(self.info, **changes)
        write_json(self.path / "run.json", self.info.as_dict())

    @property
    def preparation_s(self) -> float:
        """Seconds spent before the epochs: on predictions of teachers, on features, and on the choice of a head."""
        return sum(self.info.timings.get(name, 0.0) for name in ("teachers_s", "features_s", "head_s"))

    def add_seconds(self, timing: str, seconds: float) -> None:
        """Adds to one of the timings. A resumed run continues the earlier value."""
        timings = self.info.timings
        self.update(timings={**timings, timing: round(timings.get(timing, 0.0) + seconds, 2)})


def create_run(root: Path, info: RunInfo, name: str | None = None) -> Run:
    """Creates a folder in ``root`` and writes its ``run.json``.

    The folder is named ``<architecture>-<timestamp>`` (UTC), unless ``name`` is given. Two runs started in the same
    second get different folders.

    Args:
        root: Folder of runs. It is created if it does not exist.
        info: The record before training. Its format, order and date are set here.
        name: Name of the folder.

    Raises:
        UsageError: A file or folder of that ``name`` exists already.
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
    """Raises ``UsageError`` if a run cannot have that name. It is called before the training starts."""
    if (
        not _NAME.fullmatch(name)
        or not name.isprintable()
        or len(name.encode("utf-8", "replace")) > 200
        or Path(name).suffix.lower() in _SUFFIXES
    ):
        raise UsageError(
            f"--name must be the name of a folder inside {root}. Received: {name!r:.100}.",
            "Use letters, digits, '-' and '_', and start with a letter or a digit, such as --name balls.",
        )
    if (root / name).exists() or (root / name).is_symlink():
        raise UsageError(f"'{name}' already exists in {root}.", "Choose another --name, or remove that folder.")


#: A valid folder name on every system: no separator, no drive, not hidden, no blank or dot at the end.
_NAME = re.compile(r"[^\W_][^/\\:*?\"<>|]*(?<![. ])")

#: Suffixes that commands would mistake for those of files.
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
    return TrainingError(f"Could not create {path}: {error.strerror}.", "Choose another folder with --runs.")


def open_run(path: Path) -> Run:
    """Reads a run folder.

    Raises:
        UsageError: There is no run at ``path``, or this zoo does not read its format.
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
    """Finished runs in ``root``, newest first. Other folders are ignored."""
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
    """The order of a run in microseconds since 1970. For older runs, it is derived from the name or the file."""
    if run.info.order is not None:
        return run.info.order
    if stamp := re.search(r"\d{8}-\d{6}", run.name):
        try:  # names were in local time
            return int(datetime.strptime(stamp.group(), "%Y%m%d-%H%M%S").timestamp() * 1e6)
        except (ValueError, OverflowError, OSError):
            pass
    return (run.path / "run.json").stat().st_mtime_ns // 1000


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All values that are not mappings, with the names of the nested keys joined by dots."""
    for name, value in values.items():
        fields = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(fields, Mapping):
            yield from _flat(fields, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Converts errors from damaged files to an error that names the file."""
    try:
        yield
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TrainingError(f"Could not read {path}: {reason}.", "The run is damaged. Train again.") from error
    except UsageError as error:
        raise TrainingError(f"Could not read {path}: {error.message}", error.hint) from error
