"""The training recipe, described by one frozen record. Every field of it can be set."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args, get_origin

from zoo.augmentation import FLIPS, NAMED, RANGES, AnyAugmentation, Augmentation, read_augmentation, read_range
from zoo.errors import UsageError, unknown_name
from zoo.keras_names import KerasName, as_json, read_keras_name

Schedule = Literal["constant", "cosine"]
ClassWeights = Literal["none", "balanced"]
Calibrate = Literal["none", "temperature"]
Head = Literal["trained", "chosen"]
Precision = Literal["auto", "float32", "mixed_bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that determines a training run, except the data, the architecture and the seed.

    Args:
        optimizer: ``adam``, ``adamw``, ``lamb`` (You et al. 2020: steps in proportion to each layer's weights),
            ``sgd`` (Nesterov momentum 0.9), or another Keras optimizer, such as ``nadam``. A mapping adds settings,
            such as ``{"name": "rmsprop", "momentum": 0.9}``.
        loss: ``categorical_crossentropy``, or another Keras loss for one-hot targets and probabilities, such as
            ``categorical_focal_crossentropy``, with settings as for ``optimizer``. ``val_loss`` is always the
            cross-entropy.
        learning_rate: Peak learning rate.
        schedule: ``constant``, or ``cosine`` decay to zero over all epochs.
        warmup_epochs: Number of epochs of linear warm-up from zero, at most a fifth of all epochs. May be fractional.
        weight_decay: Decoupled weight decay, for every optimizer except ``adam``: before every step, kernels shrink by
            this factor times the current learning rate. Biases and the variables of normalisation layers do not decay.
        clip_norm: Maximum global norm of a gradient. 0 disables clipping.
        epochs: Maximum number of epochs to train on images. 0 trains only the head.
        min_steps: Minimum number of steps to train on images. A small dataset, whose epochs are short, gets more
            epochs. Setting ``epochs`` sets ``min_steps`` to 0.
        batch_size: Images per step.
        augmentation: ``none``; ``article`` (the ranges of the original tutorial); ``strong``; a function
            ``package.module:function``; or a mapping of ranges, optionally with a ``function`` that is applied
            afterwards. A named augmentation sets all ranges, each of which can then be set separately.
        mixup_alpha: Parameter of the Beta distribution of mixup (Zhang et al. 2018). 0 disables mixup.
        label_smoothing: Share of the target that is distributed over all classes, 0 to 1.
        class_weights: ``balanced`` weights every class by the inverse of its share of the training images.
        early_stopping_epochs: Number of epochs without improvement of the validation accuracy (or of the loss at equal
            accuracy) after which training stops. 0 disables early stopping.
        ema_momentum: Momentum per step of an exponential moving average of the weights. The average is then validated
            and kept. 0 keeps the weights themselves.
        dropout: Dropout rate before the head. ``None`` is the architecture's own rate.
        head: ``trained``: the architecture's own head, trained by the optimizer. ``chosen``: cross-validation on the
            training images chooses among ridge and logistic regressions on the last features of the backbone and on
            those of several layers (``depths`` of the architecture). This needs an architecture that declares a
            backbone. If ``epochs`` is 0, the validation images are then also used for training, and ``calibrate`` uses
            the predictions of the folds.
        head_epochs: Number of epochs to train only the head first, on features that a frozen backbone computes once.
            This needs an architecture that declares a backbone. 0 omits this phase. Setting ``head_epochs`` sets
            ``head`` to ``trained``.
        head_learning_rate: Peak learning rate of the phase that trains only the head. Schedule, warm-up and optimizer
            are those of the recipe.
        head_views: Number of versions of every training image whose features are computed, including the plain image.
        teacher_share: With teachers, their weight in the target of an image with a label: 1 uses only their
            probabilities, 0 only the label. ``None`` means 0.7 with teachers.
        teacher_views: With teachers, the number of versions of every training image, including the plain image. The
            teachers make predictions for these versions, and the student is trained on them. A head is trained on the
            same versions. With teachers, ``None`` means ``head_views`` if that was set, 1 if the augmentation changes
            nothing, and 8 otherwise.
        unfreeze: Share of the backbone's layers, counted from its end, that are trained on images: 1 is all, 0 is none.
            Below 1, and after a phase that trained only the head, BatchNorm keeps its statistics and weights, unless
            ``batch_norm_momentum`` is set.
        batch_norm_momentum: Momentum of BatchNorm's moving statistics while layers of the backbone are trained after
            the head. The BatchNorm layers are then trained too. A low value suits few steps. ``None``: the BatchNorm
            layers are not trained after the head.
        calibrate: ``temperature``: after training, one number is fitted on the validation images (Guo et al. 2017), so
            that the confidence matches the accuracy without changing predictions. ``none``: no calibration.
        precision: ``float32``, ``mixed_bfloat16``, or ``auto``, which uses ``mixed_bfloat16`` if it is faster on this
            machine.

    >>> recipe = zoo.Recipe(epochs=20, learning_rate=2e-3, augmentation="article")
    >>> recipe.augmentation.rotation_degrees
    30.0
    >>> zoo.Recipe(epochs=-1)
    Traceback (most recent call last):
        ...
    zoo.errors.UsageError: Recipe field 'epochs' ...
    """

    optimizer: KerasName = "adam"
    loss: KerasName = "categorical_crossentropy"
    learning_rate: float = 1e-3
    schedule: Schedule = "cosine"
    warmup_epochs: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    epochs: int = 60
    min_steps: int = 0
    batch_size: int = 32
    augmentation: AnyAugmentation = "strong"
    mixup_alpha: float = 0.0
    label_smoothing: float = 0.0
    class_weights: ClassWeights = "balanced"
    early_stopping_epochs: int = 0
    ema_momentum: float = 0.0
    dropout: float | None = None
    head: Head = "trained"
    head_epochs: int = 0
    head_learning_rate: float = 1e-3
    head_views: int = 1
    teacher_share: float | None = None
    teacher_views: int | None = None
    unfreeze: float = 1.0
    batch_norm_momentum: float | None = None
    calibrate: Calibrate = "temperature"
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "augmentation", read_augmentation(self.augmentation))
        for name in KERAS_NAMED:
            object.__setattr__(self, name, read_keras_name(name, getattr(self, name)))
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"Recipe field '{name}' must be from {low:g} to {high:g}. Received: {value!r}.")
        if not self.epochs and not self.head_epochs and self.head == "trained":
            raise UsageError(
                "A recipe with neither 'epochs' nor 'head_epochs' trains nothing.",
                "Set one of them, or 'head' to chosen.",
            )
        if self.head == "chosen" and self.head_epochs:
            raise UsageError(
                f"Recipe field 'head_epochs' is {self.head_epochs}, but a chosen head is not trained by epochs.",
                "Set 'head' to trained, or 'head_epochs' to 0.",
            )

    @property
    def ranges(self) -> Augmentation:
        """The augmentation as a record, even if it was given by name."""
        return read_augmentation(self.augmentation)

    @property
    def augments(self) -> bool:
        """Whether training uses more than the plain images. A head alone uses the views that are computed for it."""
        return not self.ranges.changes_nothing and (self.epochs > 0 or self.head_views > 1)

    def as_dict(self) -> dict[str, Any]:
        """The entry in ``run.json``, with the augmentation as a mapping of its ranges."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Reads the recipe in ``run.json``. Older runs record only the name of their augmentation, whose ``flip`` was
        ``horizontal``.

        Raises:
            UsageError: A field does not exist, or its value is invalid.
        """
        read = {name: read_field(name, value) for name, value in values.items()}
        if isinstance(values.get("augmentation"), str) and values["augmentation"] != "none":
            read["augmentation"] = replace(read["augmentation"], flip="horizontal")
        return cls(**read)

    def settings(self) -> dict[str, Any]:
        """All fields by name. The ranges of the augmentation are on the same level as the other fields, and
        ``augmentation`` is the name of a function, if there is one."""
        values = {name: getattr(self.ranges if name in RANGES else self, name) for name in FIELDS}
        values["augmentation"] = self.ranges.function
        return {name: value for name, value in values.items() if name != "augmentation" or value}

    def with_values(self, values: Mapping[str, Any]) -> Recipe:
        """A copy with some fields replaced. Text is converted to the type of the field.

        A given range replaces only that range of the augmentation, even if a named augmentation is given too.

        Raises:
            UsageError: A field does not exist, or its value is invalid.
        """
        if "epochs" in values:  # a given number of epochs is used exactly
            values = {"min_steps": 0, **values}
        read = {name: read_field(name, value) for name, value in values.items()}
        if read.get("head_epochs"):  # only a trained head has epochs
            read.setdefault("head", "trained")
        elif read.get("head") == "chosen":
            read.setdefault("head_epochs", 0)
        ranges = {name: read.pop(name) for name in RANGES if name in read}
        if ranges:
            read["augmentation"] = replace(read.get("augmentation", self.ranges), **ranges)
        return replace(self, **read)

    @property
    def freezes(self) -> bool:
        """Whether the recipe freezes a backbone or a part of it at any time."""
        return self.head == "chosen" or self.head_epochs > 0 or self.unfreeze < 1

    @property
    def validates(self) -> bool:
        """Whether the recipe needs validation images. Epochs need them; a head chosen by cross-validation does not."""
        return self.head == "trained" or self.epochs > 0

    def lasting(self, steps_per_epoch: int) -> Recipe:
        """A copy with enough epochs for at least ``min_steps`` steps."""
        return replace(self, epochs=max(self.epochs, -(-self.min_steps // steps_per_epoch)))


_RANGES: tuple[tuple[str, float, float], ...] = (
    ("learning_rate", 1e-12, 100),
    ("warmup_epochs", 0, 10_000),
    ("weight_decay", 0, 10),
    ("clip_norm", 0, 1e6),
    ("epochs", 0, 1_000_000),
    ("min_steps", 0, 1_000_000_000),
    ("batch_size", 1, 65_536),
    ("mixup_alpha", 0, 10),
    ("label_smoothing", 0, 0.99),
    ("early_stopping_epochs", 0, 1_000_000),
    ("ema_momentum", 0, 0.999999),
    ("dropout", 0, 0.99),
    ("head_epochs", 0, 1_000_000),
    ("head_learning_rate", 1e-12, 100),
    ("head_views", 1, 1000),
    ("teacher_share", 0, 1),
    ("teacher_views", 1, 1000),
    ("unfreeze", 0, 1),
    ("batch_norm_momentum", 0.1, 0.9999),
)

#: Fields that name a class of Keras.
KERAS_NAMED = ("optimizer", "loss")

#: Fields that may be a mapping.
MAPPINGS = (*KERAS_NAMED, "augmentation")

_TYPES = typing.get_type_hints(Recipe)


def _settable() -> Iterator[str]:
    for field in fields(Recipe):
        yield field.name
        if field.name == "augmentation":
            yield from RANGES


#: Everything that can be set by name: the fields of the recipe and, after ``augmentation``, its ranges.
FIELDS: tuple[str, ...] = tuple(_settable())


def field_choices(name: str) -> tuple[str, ...]:
    """The valid values of a field with named choices. Empty for numbers."""
    if name in RANGES:
        return FLIPS if name == "flip" else ()
    if name == "augmentation":
        return tuple(NAMED)
    kind = _TYPES[name]
    return get_args(kind) if get_origin(kind) is Literal else ()


def read_field(name: str, value: Any) -> Any:
    """Reads a value of a field. Text is converted to the type of the field. The range is checked by the recipe.

    Raises:
        UsageError: The field does not exist, or the value has another type.
    """
    if name not in FIELDS:
        raise unknown_name("recipe field", name, FIELDS)
    if name in RANGES:
        return read_range(name, value)
    if name == "augmentation":
        return read_augmentation(value)
    if name in KERAS_NAMED:
        return read_keras_name(name, value)
    choices = field_choices(name)
    if choices:
        if value not in choices:
            raise UsageError(f"Recipe field '{name}' cannot be {value!r}.", f"Known: {', '.join(choices)}.")
        return value
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        if type(None) in get_args(_TYPES[name]):
            return None
        raise UsageError(f"Recipe field '{name}' needs a value. Received: {value!r}.")
    kind = int if int in (_TYPES[name], *get_args(_TYPES[name])) else float
    try:
        number = float(value)
        if isinstance(value, bool) or number != number or (kind is int and number != int(number)):
            raise ValueError
        return kind(number)
    except (TypeError, ValueError, OverflowError):
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f"Recipe field '{name}' must be {wanted}. Received: {value!r}.") from None


def setting_as_text(value: Any) -> str:
    """The value of a field as text for ``zoo train``."""
    if value is None:
        return "none"
    if isinstance(value, Augmentation):
        named = next((name for name, ranges in NAMED.items() if ranges == value), None)
        return named or as_json(value.as_dict())
    if isinstance(value, Mapping):
        return as_json(value)
    if isinstance(value, tuple | list):
        return ",".join(f"{part:g}" if float(f"{part:g}") == part else str(part) for part in value)
    return str(value)
