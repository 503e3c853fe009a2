"""How far an exported file may be from Keras before it is refused."""

from __future__ import annotations

from dataclasses import asdict, dataclass

#: Shares are ratios of counts: 147 / 150 must not miss a gate of 0.98 by a rounding of the last digit.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Gates:
    """Limits of a verification; ``None``: this one does not apply.

    Args:
        max_difference: Largest absolute difference of a probability, 0 to 1.
        max_flip_margin: Largest margin of an image that may be answered differently, 0 to 1. The margin is Keras's
            probability of its own answer minus its probability of the file's.
        min_agreement: Least share of images with the same answer, 0 to 1.
        max_accuracy_drop: Largest loss of accuracy, 0 to 1 (0.01 is one point).
    """

    max_difference: float | None = None
    max_flip_margin: float | None = None
    min_agreement: float | None = None
    max_accuracy_drop: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)

    def judge(
        self, *, difference: float | None, flip_margin: float, agreement: float, accuracy_drop: float
    ) -> tuple[GateResult, ...]:
        """What was measured against each limit that applies, in the order above.

        Args:
            difference: ``None`` where it could not be measured, which no limit allows.
            flip_margin: 0 where no answer flipped.
            agreement: Share of images with the same answer.
            accuracy_drop: Accuracy of Keras minus that of the file.
        """
        found = (
            ("max_difference", difference, self.max_difference, 1),
            ("max_flip_margin", flip_margin, self.max_flip_margin, 1),
            ("min_agreement", agreement, self.min_agreement, -1),
            ("max_accuracy_drop", accuracy_drop, self.max_accuracy_drop, 1),
        )
        return tuple(
            GateResult(name, value, limit, value is not None and (value - limit) * sign <= _ROUNDING)
            for name, value, limit, sign in found
            if limit is not None
        )


@dataclass(frozen=True)
class GateResult:
    """One gate: its name in ``Gates``, the value measured, the limit, and whether it passed."""

    name: str
    value: float | None
    limit: float
    passed: bool


_DEFAULTS = {
    "float32": Gates(max_difference=1e-4, max_flip_margin=1e-3),
    "float16": Gates(max_difference=1e-2, max_flip_margin=1e-2),
    "int8": Gates(min_agreement=0.98, max_accuracy_drop=0.01),
}


def default_gates(precision: str) -> Gates:
    """The gates of a precision; those of ``float32``, the strictest, for one that is not known."""
    return _DEFAULTS.get(precision, _DEFAULTS["float32"])
