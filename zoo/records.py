"""Reads JSON from untrusted sources, and checks it against the types of a record before it is used.

This module needs only the standard library and ``zoo.text_files``, so that it can also be used on the device.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from zoo.text_files import decode_text

#: Maximum nesting. Files of zoo have at most ten levels. Without a limit, copying or printing a value would raise a
#: RecursionError.
DEEPEST = 64

_LARGEST_INT = 2**63

Record = TypeVar("Record")


class _RefusedError(ValueError):
    """An invalid value, and its location."""

    def __init__(self, place: tuple[str, ...], reason: str) -> None:
        super().__init__(f"'{'.'.join(place)}' {reason}" if place else f"it {reason}")


def read_json(text: str | bytes) -> Any:
    """Reads a JSON text.

    Raises:
        ValueError: The text is not JSON, is not UTF-8, contains a number with thousands of digits, or is nested too
            deeply.
    """
    if isinstance(text, bytes):  # json would guess the encoding, and interpret a null byte as part of UTF-16
        text = decode_text(text, strict=True)
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    refuse_deep(value)
    return value


def refuse_deep(value: Any) -> None:
    """Raises ``ValueError`` if lists and mappings are nested deeper than ``DEEPEST``."""
    level = [value]
    for _ in range(DEEPEST):
        inner: dict[int, Any] = {}  # by identity, because YAML may refer to one list a thousand times
        for item in level:
            if isinstance(item, dict | list):
                found = item.values() if isinstance(item, dict) else item
                inner |= {id(child): child for child in found if isinstance(child, dict | list)}
        if not inner:
            return
        level = list(inner.values())
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def read_object(text: str | bytes) -> dict[str, Any]:
    """Like ``read_json``, but only objects are accepted."""
    value = read_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected an object with names and values, received {_shown(value)}")
    return value


def read_record(kind: type[Record], values: Any) -> Record:
    """Creates a dataclass from the values of a JSON object. Each value is checked against the type of its field.

    Unknown fields are ignored. Lists are converted to tuples if the field is a tuple. A nested record with a method
    ``from_dict`` is read with that method.

    Raises:
        ValueError: A value is missing or has another type; the message names it.
    """
    found: Record = _checked(kind, values, ())
    return found


def _checked(kind: Any, value: Any, place: tuple[str, ...]) -> Any:
    if kind is Any:
        _refuse_null_bytes(value, place)
        return value
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), value, place)
    if origin is Literal:
        if isinstance(value, str) and value in get_args(kind):
            return value
        raise _RefusedError(place, f"must be one of {', '.join(map(str, get_args(kind)))}; received {_shown(value)}")
    if origin is tuple:
        return _tuple(get_args(kind), value, place)
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise _RefusedError(place, f"must be an object; received {_shown(value)}")
        item = get_args(kind)[1]
        _refuse_null_bytes(list(value), place)
        return {str(name): _checked(item, inner, (*place, str(name))) for name, inner in value.items()}
    if is_dataclass(kind):
        return _own_reading(kind, value, place) if place and hasattr(kind, "from_dict") else _record(kind, value, place)
    return _scalar(kind, value, place)


def _record(kind: Any, value: Any, place: tuple[str, ...]) -> Any:
    if not isinstance(value, dict):
        raise _RefusedError(place, f"must be an object; received {_shown(value)}")
    hints = _hints(kind)
    made = {}
    for field in fields(kind):
        if field.name in value:
            made[field.name] = _checked(hints[field.name], value[field.name], (*place, field.name))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise _RefusedError((*place, field.name), "is missing")
    return kind(**made)


def _own_reading(kind: Any, value: Any, place: tuple[str, ...]) -> Any:
    """Reads a nested record that supports older forms."""
    if not isinstance(value, dict):
        raise _RefusedError(place, f"must be an object; received {_shown(value)}")
    _refuse_null_bytes(value, place)
    try:
        return kind.from_dict(value)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _RefusedError(place, f"cannot be used: {error}") from None


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _one_of(kinds: tuple[Any, ...], value: Any, place: tuple[str, ...]) -> Any:
    refused: list[_RefusedError] = []
    for kind in kinds:
        try:
            return _checked(kind, value, place)
        except _RefusedError as error:
            refused.append(error)
    raise refused[0]


def _tuple(kinds: tuple[Any, ...], value: Any, place: tuple[str, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _RefusedError(place, f"must be a list; received {_shown(value)}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise _RefusedError(place, f"must be a list of {len(kinds)}; received {_shown(value)}")
    pairs = zip(kinds, value, strict=True)
    return tuple(_checked(kind, item, (*place, str(index))) for index, (kind, item) in enumerate(pairs))


_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


def _scalar(kind: Any, value: Any, place: tuple[str, ...]) -> Any:
    if kind is float and type(value) is int and abs(value) < _LARGEST_INT:
        return float(value)
    fits = type(value) is kind and (kind is not int or abs(value) < _LARGEST_INT)
    if not fits or (kind is float and not math.isfinite(value)):
        raise _RefusedError(place, f"must be {_WORDS[kind]}; received {_shown(value)}")
    _refuse_null_bytes(value, place)
    return value


def _refuse_null_bytes(value: Any, place: tuple[str, ...]) -> None:
    """Refuses null bytes. No path or name contains one, and functions that open files fail on it in various ways."""
    if isinstance(value, str):
        if "\0" in value:
            raise _RefusedError(place, f"contains a null byte: {_shown(value)}")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _refuse_null_bytes(name, place)
            _refuse_null_bytes(inner, (*place, str(name)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_null_bytes(inner, (*place, str(index)))


def _shown(value: Any) -> str:
    """Describes a value briefly, because one from a damaged file may be very long."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if type(value) is int and abs(value) >= _LARGEST_INT:
        return "a number of more than 18 digits"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
