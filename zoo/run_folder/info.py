"""The records of ``run.json`` and ``metrics.json``. A run may be edited, damaged, or from an untrusted source."""

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

#: Pattern of the name of an architecture, which becomes part of file names.
_ARCHITECTURE = re.compile(r"[a-z][a-z0-9_]{0,63}")

#: Maximum time in microseconds since 1970, in the year 2500, so that a wrong clock cannot exhaust the numbers.
LATEST = 16_725_225_600_000_000


@dataclass(frozen=True, kw_only=True)
class DataInfo:
    """The training data of a run, from ``ImageData.describe``."""

    source: str = ""
    root: str = ""
    digest: str = ""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    split_origin: Mapping[str, str] = field(default_factory=dict)
    skipped: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """The accuracy without test images that have a near-duplicate in the training data."""

    test_images: int
    of: int
    accuracy_without: float | None
    n: int


@dataclass(frozen=True, kw_only=True)
class FlipInfo:
    """How training images are mirrored, and why.

    Args:
        asked: The recipe's ``flip``.
        chosen: The value that was chosen for ``auto``, or the requested value if it is not ``auto``.
        warning: Why ``auto`` does not mirror images, or why the requested mirroring may be harmful. Empty or ``None``
            if there is no problem.
    """

    asked: Flip
    chosen: Flip
    warning: str | None = None


@dataclass(frozen=True)
class HeadTried:
    """A candidate head with the best strength of its penalty.

    Args:
        method: ``ridge`` or ``logistic`` regression.
        features: Its input features.
        strength: Strength of its penalty, relative to the loss.
        accuracy: Accuracy on held-out folds, 0 to 1.
        brier_score: Brier score on held-out folds: the mean squared error of the probabilities, summed over the
            classes, 0 to 2.
    """

    method: str
    features: str
    strength: float
    accuracy: float
    brier_score: float


@dataclass(frozen=True)
class Growth:
    """How the accuracy grows with the number of training images.

    Args:
        images: Numbers of training images, ascending. The last is the number in the complete folds.
        accuracies: Accuracy on held-out images for each number, 0 to 1.
        gain: Extrapolated gain in accuracy with twice as many images as all training images. There may be more of them
            than in the folds.
        interval: 95 % bootstrap interval of the gain.
    """

    images: tuple[int, ...]
    accuracies: tuple[float, ...]
    gain: float
    interval: tuple[float, float]

    def __post_init__(self) -> None:
        if len(self.images) < 2 or len(self.images) != len(self.accuracies):
            raise ValueError("'growth' must have an accuracy for each of two or more numbers of images")

    def __str__(self) -> str:
        low, high = (points(value, signed=False) for value in self.interval)
        if self.interval[1] < 0.005:
            return (
                f"More training images of the same type would hardly help: twice as many would add {low} to"
                f" {high} points."
            )
        return (
            f"Twice as many training images would add about {points(self.gain, signed=False)} points of accuracy"
            f" ({low} to {high}), estimated from the gain between {self.images[-2]} and {self.images[-1]} of them."
        )

    @property
    def curve(self) -> list[tuple[int, float]]:
        """Number of images and accuracy."""
        return list(zip(self.images, self.accuracies, strict=True))


@dataclass(frozen=True)
class WeakClass:
    """A class whose images are predicted wrongly more often than those of the other classes.

    Args:
        label: Its name.
        images: Number of its images that were held out in cross-validation.
        wrong: How many of them were predicted wrongly.
        interval: 95 % interval of the share of wrong predictions, 0 to 1.
    """

    label: str
    images: int
    wrong: int
    interval: tuple[float, float]


@dataclass(frozen=True)
class Lacking:
    """Classes that have fewer training images than the others, and significantly more wrong predictions.

    Args:
        classes: These classes, those with the largest share of wrong predictions first.
        other_images: Number of held-out images of all other classes.
        other_wrong: How many of them were predicted wrongly.
    """

    classes: tuple[WeakClass, ...]
    other_images: int
    other_wrong: int

    def __str__(self) -> str:
        named = [
            f"{each.label} ({each.wrong} of {each.images} wrong in the folds, 95 % interval"
            f" {percent(each.interval[0], 0)} to {percent(each.interval[1], 0)})"
            for each in self.classes
        ]
        listed = " and ".join([", ".join(named[:-1]), named[-1]] if named[1:] else named)
        return (
            f"More photos of {listed} would probably help most. The other classes have more photos on average, and"
            f" {self.other_wrong} of {self.other_images} are wrong."
        )


@dataclass(frozen=True, kw_only=True)
class HeadInfo:
    """The head that cross-validation on the training images chose.

    Args:
        method, features, strength, accuracy, brier_score: As in ``HeadTried``.
        depths: Layers whose pooled outputs it uses in addition to the last features.
        images: Number of training images that were held out for the choice. 0 if there were too few.
        unjudged: Classes that were not held out, because they have only one training image, or only similar ones. Their
            images are training images in all folds.
        folds: Number of folds.
        repetitions: Number of repetitions of the cross-validation. Logistic regressions take part only in the first.
        tried: All candidates.
        growth: The learning curve.
        lacking: The classes of which more images would probably help most. ``None`` if none is significantly worse.
    """

    method: str
    features: str
    strength: float
    depths: tuple[str, ...] = ()
    images: int = 0
    unjudged: tuple[str, ...] = ()
    folds: int = 0
    repetitions: int = 0
    accuracy: float | None = None
    brier_score: float | None = None
    tried: tuple[HeadTried, ...] = ()
    growth: Growth | None = None
    lacking: Lacking | None = None

    @property
    def averaged(self) -> int:
        """Number of repetitions of which its accuracy and Brier score are means."""
        return self.repetitions if self.method == "ridge" else 1

    @property
    def tried_by_rank(self) -> list[HeadTried]:
        """All heads that were compared, the chosen one first."""
        return sorted(self.tried, key=lambda one: (one.method, one.features) != (self.method, self.features))


@dataclass(frozen=True, kw_only=True)
class TuningInfo:
    """What training on images gained over a chosen head, on the validation images, which also chose the epoch.

    Args:
        images: Number of validation images.
        kept: Whether the weights of ``epoch`` were kept. If not, no epoch had both a higher accuracy than the head
            and a Brier score that was lower by more than the standard error.
        head_accuracy, head_brier_score: Accuracy and Brier score (after calibration) of the chosen head. The accuracy
            is ``None`` if an older version began the training.
        epoch: The epoch that was kept, or else the one with the lowest Brier score, from 1. 0 if there is none.
        accuracy, brier_score: Its accuracy and Brier score. ``None`` if there is no epoch.
    """

    images: int
    kept: bool
    head_accuracy: float | None
    head_brier_score: float
    epoch: int = 0
    accuracy: float | None = None
    brier_score: float | None = None

    def __str__(self) -> str:
        if self.kept:
            said = f"Epoch {self.epoch} was better than the chosen head, and was kept."
        else:
            said = (
                "The chosen head was kept: no epoch had both a higher accuracy on the validation images and a Brier"
                " score that was lower by more than the standard error."
            )
        if self.head_accuracy is None or self.accuracy is None or self.brier_score is None:
            return said
        return (
            f"{said} On {self.images} validation images, the accuracy was {percent(self.head_accuracy)} with the head"
            f" and {percent(self.accuracy)} after epoch {self.epoch}, and the Brier score {self.head_brier_score:.3f}"
            f" and {self.brier_score:.3f}."
        )


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """The content of ``run.json``.

    Args:
        order: Start of the run in microseconds since 1970. It is larger than that of every existing run in the folder,
            so that the order of runs is correct even if the clock was wrong. ``None`` in older runs.
        created_at: Start of the run according to the clock, UTC, ISO 8601.
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
    tuning: TuningInfo | None = None
    taught: TaughtInfo | None = None

    def __post_init__(self) -> None:
        if not _ARCHITECTURE.fullmatch(self.architecture):
            raise ValueError(f"'architecture' is not a valid name: {self.architecture!r:.80}")
        if not self.labels or len(set(self.labels)) < len(self.labels) or not all(self.labels):
            raise ValueError("'labels' must be unique")
        for name in ("seed", "split_seed"):
            if not 0 <= getattr(self, name) < 2**31:
                raise ValueError(f"'{name}' must be from 0 to 2147483647; received {getattr(self, name)}")
        if self.order is not None and not 0 <= self.order <= LATEST:
            raise ValueError(f"'order' must be microseconds since 1970; received {self.order}")

    @property
    def asked_recipe(self) -> Recipe:
        """The recipe as requested, with ``flip`` before ``auto`` was resolved."""
        return self.recipe.with_values({"flip": self.flip.asked}) if self.flip else self.recipe

    def as_dict(self) -> dict[str, Any]:
        """The content of ``run.json``, ready for JSON."""
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
        """The number of its images that are predicted correctly: ``0 of 3 found``."""
        return f"{round((self.recall or 0.0) * self.support)} of {self.support} found"


@dataclass(frozen=True, kw_only=True)
class Confused:
    """One row of ``most_confused``."""

    true: str
    predicted: str
    count: int


@dataclass(frozen=True)
class ModelWarning:
    """A warning that the model may be unusable, from its evaluation.

    Args:
        kind: ``baseline``, ``one_class`` or ``label_order``.
        sentence: The text of the warning.
        values: The figures in the text, without rounding.
    """

    kind: str
    sentence: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A confidence threshold with its coverage and accuracy.

    Args:
        target_accuracy: Target accuracy, 0 to 1.
        suggested: Threshold for the probability of the most probable class, 0 to 1. Below it, the prediction should be
            "unknown".
        coverage: Share of the images with a prediction at or above the threshold.
        accuracy: Accuracy on these images. ``None`` if there are none.
    """

    suggested: float
    target_accuracy: float = 0.0
    coverage: float = 0.0
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class Threshold(Point):
    """The suggested threshold, and a curve of alternatives. In older runs, the curve and ``chosen_on`` are missing.

    Args:
        images: Number of images on which coverage and accuracy were measured. No threshold was applied to images on
            which it was chosen.
        chosen_on: The images on which the threshold was chosen. ``val``: validation images. ``folds``: training images,
            each predicted in cross-validation by a head that was not trained on it. ``halves``: the other half of the
            test images.
        chosen_images: Number of images on which the threshold was chosen.
        curve: Points for other accuracies that can be reached only with a threshold.
    """

    images: int = 0
    chosen_on: str = ""
    chosen_images: int = 0
    curve: tuple[Point, ...] = ()

    @property
    def points(self) -> list[Point]:
        """The curve including the suggestion, sorted by target accuracy."""
        found = sorted([self, *self.curve], key=lambda point: point.target_accuracy)
        return list({point.target_accuracy: point for point in found}.values())


#: Metrics that are attributes of every run, even if its ``metrics.json`` does not contain them.
_FIRST_METRICS = ("macro_f1", "balanced_accuracy", "log_loss", "expected_calibration_error")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """How good a model is on labelled images: the content of ``metrics.json``.

    Shares are from 0 to 1. ``None`` means that the value is not defined.

    Args:
        n: Number of images.
        accuracy, accuracy_interval: Accuracy and its 95 % Wilson interval ``(low, high)``.
        split: Split of the images.
        classes: Number of classes.
        majority_class, majority_class_baseline: The most frequent class of *these* images (the first of equals), and
            its share: the no-information rate, the best accuracy of a constant prediction.
        scalars: All other scalar metrics by name, as listed in ``zoo.evaluation.metric``. Each is also an attribute,
            such as ``macro_f1``, and a field on the top level of ``metrics.json``.
        evaluated_classes: Number of classes that have images.
        log_loss_clip: For the log loss, probabilities are clipped to [clip, 1 - clip].
        mean_confidence: Mean probability of the predicted class.
        calibration_bins: Bins of equal width. Confidence and accuracy of an empty bin are ``None``.
        min_confidence: Suggested confidence threshold. ``None`` if there are too few images or correct predictions.
        warnings: Warnings that the model may be unusable.
        per_class: Metrics of each class, in the order of labels. Without images, precision, recall and F1 are ``None``.
            Precision is also ``None`` for a class that was never predicted.
        confusion_matrix: Counts, with true classes as rows and predicted classes as columns, in the order of labels.
        most_confused: The most frequent confusions, at most 20.
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
            raise ValueError("'n' must be 1 or more, and 'accuracy' from 0 to 1")
        matrix = self.confusion_matrix
        if matrix is not None and not all(len(row) == len(matrix) for row in matrix):
            raise ValueError("'confusion_matrix' must be square")

    def __getattr__(self, name: str) -> float | None:
        scalars: Mapping[str, float | None] = self.__dict__.get("scalars", {})
        if name not in scalars and name in _FIRST_METRICS:
            return None  # unknown for an older run
        if name not in scalars:
            raise AttributeError(f"There is no metric '{name}'.{did_you_mean(name, scalars)}")
        return scalars[name]

    @property
    def weakest_first(self) -> list[ClassMetrics]:
        """Figures of the classes sorted by F1; those without F1 come last."""
        return sorted(self.per_class, key=lambda row: 2.0 if row.f1 is None else row.f1)

    @property
    def weakest_class(self) -> ClassMetrics | None:
        """The class with the lowest recall. Of classes with equal recall, it is the one with the most images.

        ``None`` if all images are predicted correctly.
        """
        missed = [row for row in self.per_class if row.recall is not None and row.recall < 1]
        return min(missed, key=lambda row: (row.recall, -row.support), default=None)

    @property
    def against_baseline(self) -> Literal["better", "unsure", "worse"] | None:
        """Whether the 95 % interval is above, at or below the accuracy of always predicting the most frequent class."""
        low, high = self.accuracy_interval
        if self.majority_class_baseline is None:
            return None
        if low > self.majority_class_baseline:
            return "better"
        return "worse" if high < self.majority_class_baseline else "unsure"

    @property
    def top_k_accuracy(self) -> dict[str, float] | None:
        """Top-k accuracies by k. ``None`` for 5 classes or fewer."""
        values = {k: self.scalars.get(f"top_{k}_accuracy") for k in ("3", "5")}
        return {k: value for k, value in values.items() if value is not None} or None

    def __str__(self) -> str:
        """Accuracy, its interval, and the accuracy of always predicting the most frequent class of these images."""
        low, high = self.accuracy_interval
        text = f"Accuracy {percent(self.accuracy)} on {self.n} {self.split} images"
        text += f" (95 % interval {percent(low)} to {percent(high)}"
        if self.majority_class_baseline is not None:
            text += f"; always predicting the most frequent class: {percent(self.majority_class_baseline)}"
        return text + ")"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # shown if it is the last expression of a notebook cell

    def as_dict(self) -> dict[str, Any]:
        """The content of ``metrics.json``, ready for JSON."""
        values = asdict(self)
        return {**values, **values.pop("scalars")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Metrics:
        """Reads ``metrics.json``. In older runs, top-k accuracies are listed by k.

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
        """Raises ``ValueError`` if the metrics have other classes than the run."""
        rows = [row.label for row in self.per_class]
        matrix = self.confusion_matrix
        confused = {label for pair in self.most_confused or () for label in (pair.true, pair.predicted)}
        if (rows and tuple(rows) != labels) or (matrix and len(matrix) != len(labels)) or confused - set(labels):
            raise ValueError("the classes are not those of run.json")
