"""Hostile JSON: every value of a document is replaced by invalid ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

_DEEP = "@deep@"
_GONE = object()
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**70, 1e308, float("inf"), float("nan"), "", "../../x", "/x/y", "a\0b", "\x1b[31m"),
    *([], {}, [[]], {"a": 1}, _DEEP, _GONE),
)


def mutants(document: Any) -> Iterator[tuple[str, str]]:
    """Yields a description of each change, and the text of the changed document."""
    yield "truncated", json.dumps(document)[:-5]
    yield "deep", "[" * 100_000 + "]" * 100_000
    for value in ([], 3, "x", None):
        yield f"document {value!r}", json.dumps(value)
    for place in _places(document):
        for value in VALUES:
            changed = copy.deepcopy(document)
            holder = changed
            for step in place[:-1]:
                holder = holder[step]
            if value is _GONE:
                del holder[place[-1]]
            else:
                holder[place[-1]] = value
            text = json.dumps(changed).replace(f'"{_DEEP}"', "[" * 100_000 + "]" * 100_000)
            yield f"{place} {'gone' if value is _GONE else repr(value)}", text


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield (*above, name)
        yield from _places(inner, (*above, name))
