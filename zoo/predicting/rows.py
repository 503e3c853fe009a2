"""The row of a photo in a file of predictions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zoo.images import ImageError

if TYPE_CHECKING:
    from zoo.edge.classify import Answer


def as_line(name: str, answer: Answer | ImageError, model: str) -> str:
    """The row as a line of JSON. All rows have the same fields.

    Args:
        name: Name of the photo.
        answer: The prediction, or why there is none.
        model: SHA-256 of the model.
    """
    from zoo.edge.wording import as_record

    if isinstance(answer, ImageError):
        values: dict[str, Any] = {"file": name, "label": None, "known": None, "probability": None, "top": []}
        values |= {"remark": None, "error": answer.reason}
    else:
        values = as_record(name, answer) | {"remark": answer.remark or None, "error": None}
    return json.dumps(values | {"model": model})


def columns(top: int, says_known: bool) -> list[str]:
    """Names of the columns of a table.

    Args:
        top: Number of classes in a row.
        says_known: Whether there is a confidence threshold. A prediction below it has no label, but a likeliest class.
    """
    first = ["known", "label", "likeliest"] if says_known else ["label"]
    more = [f"{column}_{place}" for place in range(2, top + 1) for column in ("label", "probability")]
    return ["file", *first, "probability", *more, "remark", "error", "model"]


def cells(row: dict[str, Any], top: int, says_known: bool) -> Iterator[Any]:
    """The cells of a row, in the order of ``columns``. A cell without a value is ``None``."""
    likely = [*row["top"], *[{"label": None, "probability": None}] * top][:top]
    yield row["file"]
    if says_known:
        yield row["known"]
        yield row["label"]
    for place in likely:
        yield place["label"]
        yield place["probability"]
    yield row["remark"]
    yield row["error"]
    yield row["model"]
