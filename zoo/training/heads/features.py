"""Features of a frozen backbone in parts, and the relative weights of the parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.training.heads.linear import Floats, Read

LAST_FEATURES = "last features"


@dataclass(frozen=True)
class Balance:
    """The relative weights of the parts of the features.

    Args:
        name: Name in messages and ``run.json``.
        of_parts: Mean square of a feature of each part after standardisation. 0 leaves the part out. Larger features
            are penalised less.
    """

    name: str
    of_parts: tuple[float, ...]


@dataclass(frozen=True)
class Features:
    """Features of training images.

    Args:
        read: Reads the features of given images.
        parts: Slices of the parts: earlier depths, later depths, last features; or only the last features.
        widths: Number of features of every depth, followed by that of the last features.
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
        """Features of several depths in three parts: the earlier half of the depths, the later half, the last features.

        Args:
            read: Reads the features.
            widths: Number of features of every depth, followed by that of the last features.
        """
        ends = np.cumsum(widths).tolist()
        if len(widths) == 1:
            return cls(read, (slice(0, ends[-1]),), tuple(widths))
        early = ends[(len(widths) - 1) // 2 - 1] if len(widths) > 2 else 0
        return cls(read, (slice(0, early), slice(early, ends[-2]), slice(ends[-2], ends[-1])), tuple(widths))

    @property
    def balances(self) -> list[Balance]:
        """The candidates: only the last features, and combinations with increasing weight of the other depths."""
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
        """``(d,)``, mean square of every feature after standardisation. The sum is 1."""
        importance = np.zeros(self.width)
        for part, value in zip(self.parts, balance.of_parts, strict=True):
            importance[part] = value
        share: Floats = importance / importance.sum()
        return share
