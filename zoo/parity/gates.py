"""How far an exported file may be from Keras before it is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from zoo.evaluation import exact_interval, tango_interval
from zoo.parity.evidence import loses_accuracy, most_flips, proves_accuracy, proves_agreement

#: Limits on figures of single images are met to the last digit but one.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """Images on which both models predicted, and how often the same class.

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
    """Labelled images: all, and those that only one of the two classifies rightly."""

    images: int
    only_keras: int
    only_file: int


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Limits of a verification; ``None``: this one does not apply.

    The limits of agreement and accuracy are on the true shares, so they are judged with the number of images in mind:
    ``zoo.parity.evidence``. The other two hold for each single image.

    Args:
        max_difference: Largest absolute difference of a probability, 0 to 1.
        max_flip_margin: Largest margin of an image whose prediction may change, 0 to 1. The margin is Keras's
            probability of the class it predicts minus its probability of the class the file predicts.
        min_agreement: Least share of images with the same predicted class, 0 to 1.
        max_accuracy_drop: Largest loss of accuracy, 0 to 1 (0.01 is one point).
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
        """What was measured against each limit that applies, in the order above.

        Args:
            difference: ``None`` where it could not be measured, which no limit allows.
            flip_margin: 0 where no prediction flipped.
            agreed: Sets of images, each of which must keep the limit of agreement.
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
        name: In ``Gates``.
        value: That was measured.
        limit: For it.
        passed: Whether the file may be kept.
        splits: Number of images by split, where the verdict depends on how many there are.
        interval: 95 % interval of the true value, likewise: Clopper-Pearson's, or Tango's for accuracy.
        thin: Whether it passed, and a bad file would look as good in more than one case of twenty.
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
        """Number of images that the verdict depends on."""
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
    """The gates of a precision; those of ``float32``, the strictest, for one that is not known."""
    return _DEFAULTS.get(precision, _DEFAULTS["float32"])
