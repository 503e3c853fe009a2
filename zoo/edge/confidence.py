"""From which probability on an answer counts; below it the answer is "unknown"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.errors import UsageError, VerificationError

#: Takes the threshold that travels with the model.
AUTO = "auto"


def read_confidence(text: str) -> float | str:
    """What ``--min-confidence`` takes: ``auto``, or a probability from 0 to 1.

    Raises:
        UsageError: It is neither.
    """
    if text == AUTO:
        return AUTO
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"--min-confidence takes a probability from 0 to 1, or 'auto'. Received: {text!r}.")
    return value


def min_confidence(asked: str | None, values: Mapping[str, Any], source: str) -> float | None:
    """The threshold to go by; ``None`` where every answer counts.

    Args:
        asked: What ``--min-confidence`` was given.
        values: What goes with the model: ``spec.json`` of a bundle, or ``metrics.json`` of a run. ``min_confidence`` in
            it is ``{"suggested": 0.83, "target_accuracy": 0.99, "coverage": 0.91, "accuracy": 0.99, "images": 150}``,
            or ``null`` where none was found.
        source: For people: what holds ``values``.

    Raises:
        UsageError: ``asked`` is no probability, or ``auto`` where nothing is suggested.
        VerificationError: The record is damaged.
    """
    if asked is None:
        return None
    wanted = read_confidence(asked)
    if isinstance(wanted, float):
        return wanted
    record = values.get("min_confidence")
    if record is None:
        raise UsageError(
            f"{source} suggests no threshold, so --min-confidence auto has nothing to go by.",
            "Suggestions come from the photos a model is measured on, where enough of its answers are right. "
            "Give a probability instead, such as --min-confidence 0.8.",
        )
    suggested = record.get("suggested") if isinstance(record, Mapping) else None
    if isinstance(suggested, bool) or not isinstance(suggested, int | float) or not 0 <= suggested <= 1:
        raise VerificationError(f"{source} is damaged: its 'min_confidence' is {record!r}.")
    return float(suggested)
