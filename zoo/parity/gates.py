"""The limits for the difference between an exported file and Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from zoo.evaluation import exact_interval, tango_interval
from zoo.parity.evidence import loses_accuracy, most_flips, proves_accuracy, proves_agreement

#: Relative tolerance of the limits for single images.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """Images that both models predicted, and the number with the same class.

    Args:
        splits: Number of images by split.
        agreeing: Images with the same predicted class.
    """

    splits: Mapping[str, int]
    agreeing: int

    @property
    def images(self) -> int:
        return sum(self.splits.values())


@dataclass(frozen=True, kw_only=True)
class Paired:
    """Labelled images: all, and those that only one of the two classifies correctly."""

    images: int
    only_keras: int
    only_file: int


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Limits of a verification. ``None`` means that a limit does not apply.

    The limits of agreement and accuracy refer to true shares, so their evaluation depends on the number of images; see
    ``zoo.parity.evidence``. The other two apply to each single image.

    Args:
        max_difference: Maximum absolute difference of a probability, 0 to 1.
        max_flip_margin: Maximum margin of an image whose prediction may change, 0 to 1. The margin is Keras's
            probability of its predicted class minus its probability of the class that the file predicts.
        min_agreement: Minimum share of images with the same predicted class, 0 to 1.
        max_accuracy_drop: Maximum loss of accuracy, 0 to 1 (0.01 is one point).
    """

    max_difference: float | None = None
    max_flip_margin: float | None = None
    min_agreement: float | None = None
    max_accuracy_drop: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)

    def judge(
        self, *, difference: float | None, flip_margin: float, agreed: Sequence[Agreed], paired: Paired
    ) -> tuple[GateResult, ...]:
        """Compares measured values with each limit that applies, in the order of the fields.

        Args:
            difference: Maximum difference. ``None`` if it could not be measured, which no limit allows.
            flip_margin: Maximum margin of a flip. 0 without flips.
            agreed: Sets of images, each of which must meet the limit of agreement.
            paired: The labelled images.
        """
        found = [
            GateResult(name, value, limit, value is not None and value - limit <= _ROUNDING)
            for name, value, limit in (
                ("max_difference", difference, self.max_difference),
                ("max_flip_margin", flip_margin, self.max_flip_margin),
            )
            if limit is not None
        ]
        if self.min_agreement is not None:
            found += [_agreement(images, self.min_agreement) for images in agreed]
        if self.max_accuracy_drop is not None:
            found.append(_accuracy(paired, self.max_accuracy_drop))
        return tuple(found)


@dataclass(frozen=True)
class GateResult:
    """One gate.

    Args:
        name: Name in ``Gates``.
        value: The measured value.
        limit: The limit.
        passed: Whether the limit is met.
        splits: Number of images by split, if the result depends on their number.
        interval: 95 % interval of the true value (Clopper-Pearson, or Tango for accuracy), if the result depends on the
            number of images.
        thin: Whether it passed although a bad file would look as good in more than one of twenty cases.
    """

    name: str
    value: float | None
    limit: float
    passed: bool
    splits: Mapping[str, int] | None = None
    interval: tuple[float, float] | None = None
    thin: bool = False

    @property
    def images(self) -> int:
        """Number of images on which the result is based."""
        return sum((self.splits or {}).values())


def _agreement(found: Agreed, limit: float) -> GateResult:
    flips = found.images - found.agreeing
    passed = flips <= most_flips(found.images, limit)
    return GateResult(
        "min_agreement",
        found.agreeing / found.images,
        limit,
        passed,
        found.splits,
        exact_interval(found.agreeing, found.images),
        passed and not proves_agreement(found.images, flips, limit),
    )


def _accuracy(found: Paired, limit: float) -> GateResult:
    counts = (found.images, found.only_keras, found.only_file)
    passed = not loses_accuracy(*counts, limit)
    return GateResult(
        "max_accuracy_drop",
        (found.only_keras - found.only_file) / found.images,
        limit,
        passed,
        {"labelled": found.images},
        tango_interval(found.only_keras, found.only_file, found.images),
        passed and not proves_accuracy(*counts, limit),
    )


_DEFAULTS = {
    "float32": Gates(max_difference=1e-4, max_flip_margin=1e-3),
    "float16": Gates(max_difference=1e-2, max_flip_margin=1e-2),
    "int8": Gates(min_agreement=0.98, max_accuracy_drop=0.01),
}


def default_gates(precision: str) -> Gates:
    """The gates of a precision. For an unknown precision, those of ``float32``, which are the strictest."""
    return _DEFAULTS.get(precision, _DEFAULTS["float32"])
