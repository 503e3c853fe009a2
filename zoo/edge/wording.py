"""Formats predictions: a line of JSON for programs, or a line of text for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zoo.figures import percent
from zoo.terminal import readable

if TYPE_CHECKING:
    from zoo.edge.classify import Answer


def as_record(name: str, answer: Answer) -> dict[str, Any]:
    """The fields of the JSON. ``label`` is ``None`` for an unknown image, because a class may be called "unknown"."""
    top = [{"label": label, "probability": probability} for label, probability in answer.top]
    label = answer.label if answer.known else None
    return {"file": name, "label": label, "known": answer.known, "probability": answer.probability, "top": top}


def as_json(name: str, answer: Answer) -> str:
    """One line of JSON."""
    return json.dumps(as_record(name, answer))


def as_text(name: str, answer: Answer) -> str:
    """One line of text."""
    return f"{readable(name)}: {in_words(answer)}"


def in_words(answer: Answer) -> str:
    """The most probable classes with their probabilities. For an unknown image, "unknown" comes first."""
    shown = ", ".join(f"{readable(label)} {percent(probability)}" for label, probability in answer.top)
    return shown if answer.known else f"unknown ({shown})"


def as_note(name: str, answer: Answer) -> str:
    """One line on an image that was used despite a problem."""
    return f"Note: {readable(name)}: {readable(answer.remark)}."
