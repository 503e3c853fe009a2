"""What ``run.json`` and ``metrics.json`` may hold. A run may be edited, damaged, or come from anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.augmentation import Flip
from zoo.errors import TrainingError
from zoo.image_spec import ImageSpec
from zoo.recipe import Recipe
from zoo.records import read_record

#: The name of an architecture becomes part of file names.
_ARCHITECTURE = re.compile(r"[a-z][a-z0-9_]{0,63}")

#: Microseconds since 1970 up to the year 2500, so that a wrong clock cannot run out of numbers.
LATEST = 16_725_225_600_000_000


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """What a run was trained on, as ``ImageData.describe`` says it."""

    source: str = ""
    root: str = ""
    digest: str = ""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    split_origin: Mapping[str, str] = field(default_factory=dict)
    skipped: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """How the accuracy changes without test images that have a near-duplicate in training."""

    test_images: int
    of: int
    accuracy_without: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class FlipInfo:
    """Whether images are mirrored: what was asked, what was chosen, and the warning that goes with it."""

    asked: Flip
    chosen: Flip
    warning: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The content of ``run.json``.

    Args:
        order: Microseconds since 1970 at which the run began; at least one more than that of every run that stood
            beside it then, so that the newest run is the newest whatever the clock said. ``None`` in runs of before.
        created_at: The same moment as the clock said it, UTC, ISO 8601.
    """

    architecture: str
    labels: tuple[str, ...]
    image: ImageSpec
    recipe: Mapping[str, Any]
    seed: int
    format: int = 1
    order: int | None = None
    created_at: str | None = None
    zoo_version: str = ""
    distribution: str = ""
    command: str = ""
    data: DataInfo = field(default_factory=DataInfo)
    recipe_name: str = ""
    weights: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    split_seed: int = 0
    tensorboard: bool = False
    backend: str = ""
    precision: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str | int] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    temperature: float | None = None
    parameters: int | None = None
    best_epoch: int | None = None
    leaks: Leaks | None = None
    flip: FlipInfo | None = None

    def __post_init__(self) -> None:
        if not _ARCHITECTURE.fullmatch(self.architecture):
            raise ValueError(f"'architecture' is no name of an architecture: {self.architecture!r:.80}")
        if not self.labels or len(set(self.labels)) < len(self.labels) or not all(self.labels):
            raise ValueError("'labels' must name every class once")
        for name in ("seed", "split_seed"):
            if not 0 <= getattr(self, name) < 2**31:
                raise ValueError(f"'{name}' must be from 0 to 2147483647; received {getattr(self, name)}")
        if self.order is not None and not 0 <= self.order <= LATEST:
            raise ValueError(f"'order' must be microseconds since 1970; received {self.order}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunInfo:
        """The record of a JSON object.

        Raises:
            ValueError: A value is missing or of another type, or a recipe has a field that does not exist here.
            UsageError: A value of the recipe or of the image rule is out of its range.
        """
        found = read_record(cls, dict(values))
        ImageSpec.from_dict(values["image"])  # refuses a field that it does not know
        try:
            Recipe.from_dict(found.recipe)
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"'recipe' cannot be used: {error}") from None
        return found


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One bin of ``calibration_bins``."""

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class ClassMetrics:
    """One row of ``per_class``."""

    label: str
    support: int
    train_images: int | None
    predicted: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, kw_only=True)
class Confused:
    """One row of ``most_confused``."""

    true: str
    predicted: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Warned:
    """One row of ``warnings``."""

    kind: str
    sentence: str
    values: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Point:
    """One row of the curve of ``min_confidence``."""

    target_accuracy: float
    suggested: float
    coverage: float
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """``min_confidence``; older runs have neither a curve nor what chose it."""

    suggested: float
    target_accuracy: float = 0.0
    coverage: float = 0.0
    accuracy: float = 0.0
    images: int = 0
    chosen_on: str = ""
    chosen_images: int = 0
    curve: tuple[Point, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The content of ``metrics.json``; ``zoo.evaluation.compute_metrics`` says what the figures are."""

    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    split: str = "test"
    classes: int | None = None
    majority_class: str | None = None
    majority_class_baseline: float | None = None
    macro_f1: float = 0.0
    balanced_accuracy: float = 0.0
    evaluated_classes: int = 0
    top_k_accuracy: Mapping[str, float] | None = None
    log_loss: float = 0.0
    log_loss_clip: float = 0.0
    mean_confidence: float = 0.0
    expected_calibration_error: float = 0.0
    calibration_bins: tuple[Bin, ...] | None = None
    min_confidence: Threshold | None = None
    warnings: tuple[Warned, ...] = ()
    per_class: tuple[ClassMetrics, ...] = ()
    confusion_matrix: tuple[tuple[int, ...], ...] | None = None
    most_confused: tuple[Confused, ...] | None = None

    def __post_init__(self) -> None:
        shares = (self.accuracy, *self.accuracy_interval)
        if self.n < 1 or not all(0 <= share <= 1 for share in shares):
            raise ValueError("'accuracy' must be a share of at least one image")
        matrix = self.confusion_matrix
        if matrix is not None and not all(len(row) == len(matrix) for row in matrix):
            raise ValueError("'confusion_matrix' must be square")

    def refuse_other_labels(self, labels: tuple[str, ...]) -> None:
        """Raises ``ValueError`` where the figures are of other classes than the run's."""
        rows = [row.label for row in self.per_class]
        matrix = self.confusion_matrix
        confused = {label for pair in self.most_confused or () for label in (pair.true, pair.predicted)}
        if (rows and tuple(rows) != labels) or (matrix and len(matrix) != len(labels)) or confused - set(labels):
            raise ValueError("the classes are not those of run.json")


class Recorded(dict[str, Any]):
    """Values of a file of a run. One that is missing is an error of the file, not of the program."""

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        super().__init__({name: Recorded(path, item) if type(item) is dict else item for name, item in values.items()})
        self._path = path

    def __missing__(self, name: str) -> Any:
        raise TrainingError(f"{self._path} is damaged: '{name}' is missing.", "The run is damaged; train again.")
