"""The confidence threshold, below which a prediction is "unknown"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.errors import UsageError, VerificationError

#: Selects the threshold that is stored with the model.
AUTO = "auto"

#: Selects a threshold from the curve that is stored with the model: ``accuracy=0.98`` selects the threshold for the
#: lowest stored accuracy of at least 98 %.
_ACCURACY = "accuracy="


def read_confidence(text: str) -> float | str:
    """Reads ``--min-confidence``: ``auto``, ``accuracy=0.98``, or a probability from 0 to 1.

    Raises:
        UsageError: The text has another form.
    """
    if text == AUTO:
        return AUTO
    try:
        value = float(text.removeprefix(_ACCURACY))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UsageError(
            "--min-confidence takes a probability from 0 to 1, or 'auto', or a target accuracy as 'accuracy=0.98'. "
            f"Received: {text!r}."
        )
    return text if text.startswith(_ACCURACY) else value


def min_confidence(asked: str | None, values: Mapping[str, Any], source: str) -> float | None:
    """The confidence threshold. ``None`` if there is none.

    Args:
        asked: The value of ``--min-confidence``.
        values: Content of ``spec.json`` of a bundle, or of ``metrics.json`` of a run. Its ``min_confidence`` is
            ``{"suggested": 0.83, "target_accuracy": 0.99, ..., "curve": [...]}``, where the curve has the same fields
            for other accuracies (older files have no curve), or ``null`` if no threshold was found.
        source: Name of the source of ``values`` in messages.

    Raises:
        UsageError: ``asked`` has another form, or the threshold that it selects does not exist.
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
            f"{source} suggests no threshold, so --min-confidence {asked} cannot be used.",
            "zoo can suggest a threshold only if the model predicts enough validation photos, or enough photos of the "
            "verification, correctly. Give a probability instead, such as --min-confidence 0.8.",
        )
    suggested = _share(record, "suggested")
    points = _curve(record)
    if suggested is None or points is None:
        raise VerificationError(f"{source} is damaged: its 'min_confidence' is {record!r}.")
    if wanted == AUTO:
        return suggested
    least = float(wanted.removeprefix(_ACCURACY))
    reached = [threshold for target, threshold in points if target >= least]
    if not reached:
        known = ", ".join(f"{target:g}" for target, _ in points)
        raise UsageError(f"{source} has no threshold for an accuracy of {least:g}.", f"It has some for: {known}.")
    return reached[0]


def _curve(record: Any) -> list[tuple[float, float]] | None:
    """Target accuracies and their thresholds, lowest accuracy first. ``None`` if the record is damaged."""
    others = record.get("curve", []) if isinstance(record, Mapping) else None
    if not isinstance(others, list | tuple):
        return None
    own = [record] if "target_accuracy" in record else []
    points = [(_share(point, "target_accuracy"), _share(point, "suggested")) for point in (*own, *others)]
    whole = [(target, threshold) for target, threshold in points if target is not None and threshold is not None]
    return sorted(whole) if len(whole) == len(points) else None


def _share(record: object, name: str) -> float | None:
    """The field ``name`` of a record. ``None`` if it is missing or not a number from 0 to 1."""
    value = record.get(name) if isinstance(record, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        return None
    return float(value)
