"""Features of a frozen backbone in parts, and how much the parts count against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.training.heads.linear import Floats, Read

LAST_FEATURES = "last features"


@dataclass(frozen=True)
class Balance:
    """How much the parts of the features count against each other.

    Args:
        name: For people and ``run.json``.
        of_parts: Mean square of a feature of each part once standardised; 0 leaves the part out. What is larger is
            penalised less.
    """

    name: str
    of_parts: tuple[float, ...]


@dataclass(frozen=True)
class Features:
    """Features of training images.

    Args:
        read: Reads those of some images.
        parts: Where the parts are among the features: earlier depths, later depths, the last features; or these alone.
        widths: Number of features of every depth, the last features at the end.
    """

    read: Read
    parts: tuple[slice, ...]
    widths: tuple[int, ...]

    @property
    def width(self) -> int:
        """Number of features."""
        return sum(self.widths)

    @classmethod
    def of(cls, read: Read, widths: Sequence[int]) -> Features:
        """Features of several depths: the earlier half of them is one part, the later half another, the last a third.

        Args:
            read: Reads them.
            widths: Number of features of every depth, the last features at the end.
        """
        ends = np.cumsum(widths).tolist()
        if len(widths) == 1:
            return cls(read, (slice(0, ends[-1]),), tuple(widths))
        early = ends[(len(widths) - 1) // 2 - 1] if len(widths) > 2 else 0
        return cls(read, (slice(0, early), slice(early, ends[-2]), slice(ends[-2], ends[-1])), tuple(widths))

    @property
    def balances(self) -> list[Balance]:
        """What is tried: the last features alone, and others beside them that count more and more."""
        if len(self.parts) == 1:
            return [Balance(LAST_FEATURES, (1.0,))]
        return [
            Balance(LAST_FEATURES, (0.0, 0.0, 1.0)),
            Balance("later depths at a tenth", (0.0, 1.0, 10.0)),
            Balance("later depths at a third", (0.0, 1.0, 3.0)),
            Balance("later depths", (0.0, 1.0, 1.0)),
            Balance("all depths", (1.0, 1.0, 1.0)),
        ]

    def importance(self, balance: Balance) -> Floats:
        """``(d,)`` mean square of every feature once standardised; they sum to 1."""
        importance = np.zeros(self.width)
        for part, value in zip(self.parts, balance.of_parts, strict=True):
            importance[part] = value
        share: Floats = importance / importance.sum()
        return share
