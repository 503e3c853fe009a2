"""What ``run.json`` and ``metrics.json`` may hold. A run may be edited, damaged, or come from anybody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from zoo.augmentation import Flip
from zoo.errors import did_you_mean
from zoo.figures import percent, points
from zoo.image_spec import ImageSpec
from zoo.recipe import Recipe
from zoo.records import read_record
from zoo.run_folder.taught import TaughtInfo

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
    """How training images are mirrored, and why.

    Args:
        asked: The recipe's ``flip``.
        chosen: What ``auto`` became; else what was asked.
        warning: Why images are not mirrored though ``auto`` would, or what speaks against the mirroring that was
            asked for. Empty or ``None`` where nothing does.
    """

    asked: Flip
    chosen: Flip
    warning: str | None = None


@dataclass(frozen=True)
class HeadTried:
    """A head that was tried, at its best strength.

    Args:
        method: ``ridge`` or ``logistic`` regression.
        features: Which features it was given.
        strength: Of its penalty, relative to the loss.
        accuracy: Share of right predictions on images in folds that did not train it.
        brier_score: Mean squared error of its probabilities there, summed over the classes: 0 to 2.
    """

    method: str
    features: str
    strength: float
    accuracy: float
    brier_score: float


@dataclass(frozen=True)
class Growth:
    """How accuracy grows with training images.

    Args:
        images: Numbers of images that trained, ascending; the last is of all in the folds.
        accuracies: Share of right predictions on images that did not train, for each.
        gain: What twice as many images would add to the last accuracy, by extrapolation.
        interval: Its 95 % bootstrap interval.
    """

    images: tuple[int, ...]
    accuracies: tuple[float, ...]
    gain: float
    interval: tuple[float, float]

    def __str__(self) -> str:
        low, high = (points(value, signed=False) for value in self.interval)
        if self.interval[1] < 0.005:
            return f"More training images of the same kind would hardly help: twice as many add {low} to {high} points."
        return (
            f"Twice as many training images would add about {points(self.gain, signed=False)} points of accuracy"
            f" ({low} to {high}), as the gain from half of them to all of them suggests."
        )

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Number of images and accuracy."""
        return list(zip(self.images, self.accuracies, strict=True))


@dataclass(frozen=True, kw_only=True)
class HeadInfo:
    """The head that cross-validation on the training images chose.

    Args:
        method, features, strength, accuracy, brier_score: As of what was tried.
        depths: Layers whose pooled outputs it uses, beside the last features.
        images: Training images that chose; 0 where there were too few.
        folds: Number of folds.
        repetitions: How often the images were divided into folds.
        tried: All heads that were compared.
        growth: What more images would bring.
    """

    method: str
    features: str
    strength: float
    depths: tuple[str, ...] = ()
    images: int = 0
    folds: int = 0
    repetitions: int = 0
    accuracy: float | None = None
    brier_score: float | None = None
    tried: tuple[HeadTried, ...] = ()
    growth: Growth | None = None

    @property
    def tried_by_rank(self) -> list[HeadTried]:
        """All heads that were compared, the chosen one first."""
        return sorted(self.tried, key=lambda one: (one.method, one.features) != (self.method, self.features))


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
    recipe: Recipe
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
    head: HeadInfo | None = None
    taught: TaughtInfo | None = None

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

    @property
    def asked_recipe(self) -> Recipe:
        """The recipe as it was asked for: with ``flip`` as it was before the dataset decided what ``auto`` is."""
        return self.recipe.with_values({"flip": self.flip.asked}) if self.flip else self.recipe

    def as_dict(self) -> dict[str, Any]:
        """What ``run.json`` holds, ready for JSON."""
        return asdict(self)


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

    @property
    def found(self) -> str:
        """How many of its images are found: ``0 of 3 found``."""
        return f"{round((self.recall or 0.0) * self.support)} of {self.support} found"


@dataclass(frozen=True, kw_only=True)
class Confused:
    """One row of ``most_confused``."""

    true: str
    predicted: str
    count: int


@dataclass(frozen=True)
class ModelWarning:
    """A sign that the model is of no use on the images it was measured on.

    Args:
        kind: ``baseline``, ``one_class`` or ``label_order``.
        sentence: For people.
        values: The figures in it, shares without rounding.
    """

    kind: str
    sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A threshold of confidence, and what it brings.

    Args:
        target_accuracy: Share of right answers that was asked for, 0 to 1.
        suggested: Probability of the likeliest class below which the answer should be "unknown", 0 to 1.
        coverage: Share of the images that get an answer.
        accuracy: Share of right answers among those; ``None`` without any.
    """

    suggested: float
    target_accuracy: float = 0.0
    coverage: float = 0.0
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Threshold(Point):
    """The suggestion, and a curve to choose another point from; older runs have neither a curve nor what chose it.

    Args:
        images: Number of images that coverage and accuracy were measured on; none of them chose a threshold that was
            applied to itself.
        chosen_on: ``val``: validation images; ``folds``: training images, each by a head that it did not train, in
            cross-validation; ``halves``: the other half of the images measured on.
        chosen_images: Number of images that chose.
        curve: Other accuracies that the model does not reach by itself and that can be reached.
    """

    images: int = 0
    chosen_on: str = ""
    chosen_images: int = 0
    curve: tuple[Point, ...] = ()

    @property
    def points(self) -> list[Point]:
        """The curve with the suggestion in its place, by the accuracy that was asked for."""
        found = sorted([self, *self.curve], key=lambda point: point.target_accuracy)
        return list({point.target_accuracy: point for point in found}.values())


#: Metrics that are attributes of every run, whether its ``metrics.json`` has them or not.
_FIRST_METRICS = ("macro_f1", "balanced_accuracy", "log_loss", "expected_calibration_error")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """How good a model is on labelled images: the content of ``metrics.json``.

    Shares are from 0 to 1; ``None`` is "not defined here".

    Args:
        n: Images measured on.
        accuracy, accuracy_interval: Share of right answers; its 95 % Wilson interval ``(low, high)``.
        split: Which images of the data those are.
        classes: Number of classes.
        majority_class, majority_class_baseline: The class most frequent among *these* images (the first of equals), and
            its share of them: the no-information rate, which no answer that is always the same can exceed.
        scalars: Every other metric that is one number, by name; ``zoo.evaluation.metric`` lists them. Each is an
            attribute too, such as ``macro_f1``, and stands beside the other fields in ``metrics.json``.
        evaluated_classes: Number of classes that have images.
        log_loss_clip: For the log loss, probabilities are clipped to [clip, 1 - clip].
        mean_confidence: Mean probability of the predicted class.
        calibration_bins: Bins of equal width; confidence and accuracy are ``None`` in an empty one.
        min_confidence: From which confidence on an answer is worth giving; ``None`` where too few images, or too few
            right predictions, suggest none.
        warnings: Signs that the model is of no use on these images.
        per_class: In the order of labels. With no images precision, recall and F1 are ``None``; precision is ``None``
            for a class that was never predicted.
        confusion_matrix: Counts, rows true, columns predicted, both in the order of labels.
        most_confused: The most frequent mistakes, at most 20.
    """

    n: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    split: str = "test"
    classes: int | None = None
    majority_class: str | None = None
    majority_class_baseline: float | None = None
    scalars: Mapping[str, float | None] = field(default_factory=dict)
    evaluated_classes: int = 0
    log_loss_clip: float = 0.0
    mean_confidence: float = 0.0
    calibration_bins: tuple[Bin, ...] | None = None
    min_confidence: Threshold | None = None
    warnings: tuple[ModelWarning, ...] = ()
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

    def __getattr__(self, name: str) -> float | None:
        scalars: Mapping[str, float | None] = self.__dict__.get("scalars", {})
        if name not in scalars and name in _FIRST_METRICS:
            return None  # a run of before does not say
        if name not in scalars:
            raise AttributeError(f"There is no metric '{name}'.{did_you_mean(name, scalars)}")
        return scalars[name]

    @property
    def weakest_first(self) -> list[ClassMetrics]:
        """Figures of the classes by their F1, those without any last."""
        return sorted(self.per_class, key=lambda row: 2.0 if row.f1 is None else row.f1)

    @property
    def weakest_class(self) -> ClassMetrics | None:
        """The class of which the smallest share of images is found, of equals the largest; ``None`` where all are."""
        missed = [row for row in self.per_class if row.recall is not None and row.recall < 1]
        return min(missed, key=lambda row: (row.recall, -row.support), default=None)

    @property
    def against_baseline(self) -> Literal["better", "unsure", "worse"] | None:
        """Whether the accuracy can be told from that of always predicting the commonest class: by its 95 % interval."""
        low, high = self.accuracy_interval
        if self.majority_class_baseline is None:
            return None
        if low > self.majority_class_baseline:
            return "better"
        return "worse" if high < self.majority_class_baseline else "unsure"

    @property
    def top_k_accuracy(self) -> dict[str, float] | None:
        """Top-k accuracies by k; ``None`` where there are 5 classes or fewer."""
        values = {k: self.scalars.get(f"top_{k}_accuracy") for k in ("3", "5")}
        return {k: value for k, value in values.items() if value is not None} or None

    def __str__(self) -> str:
        """Accuracy, its interval, and what the best prediction that is always the same gives on these images."""
        low, high = self.accuracy_interval
        text = f"Accuracy {percent(self.accuracy)} on {self.n} {self.split} images"
        text += f" (95 % interval {percent(low)} to {percent(high)}"
        if self.majority_class_baseline is not None:
            text += f"; always answering their commonest class: {percent(self.majority_class_baseline)}"
        return text + ")"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # as the last line of a notebook's cell

    def as_dict(self) -> dict[str, Any]:
        """What ``metrics.json`` holds, ready for JSON."""
        values = asdict(self)
        return {**values, **values.pop("scalars")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metrics:
        """What ``metrics.json`` says; older runs list their top-k accuracies by k.

        Raises:
            ValueError: A value is missing or of another type; the message names it.
        """
        own = {field.name for field in fields(cls)} - {"scalars"}
        scalars = {name: value for name, value in values.items() if name not in own}
        by_k = scalars.pop("top_k_accuracy", None)
        scalars |= {f"top_{k}_accuracy": share for k, share in by_k.items()} if isinstance(by_k, dict) else {}
        numbers = {name: value for name, value in scalars.items() if not isinstance(value, list | dict)}
        return read_record(cls, {name: values[name] for name in own & values.keys()} | {"scalars": numbers})

    def refuse_other_labels(self, labels: tuple[str, ...]) -> None:
        """Raises ``ValueError`` where the figures are of other classes than the run's."""
        rows = [row.label for row in self.per_class]
        matrix = self.confusion_matrix
        confused = {label for pair in self.most_confused or () for label in (pair.true, pair.predicted)}
        if (rows and tuple(rows) != labels) or (matrix and len(matrix) != len(labels)) or confused - set(labels):
            raise ValueError("the classes are not those of run.json")
