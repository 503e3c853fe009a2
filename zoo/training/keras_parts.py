"""Optimizers and losses by name: first those defined by zoo, then any Keras class with its settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

from zoo.errors import UsageError, unknown_name
from zoo.keras_names import KerasName, find_name, name_and_settings


def make_part(
    field: str,
    value: KerasName,
    module: Any,
    base: type,
    *,
    ours: Mapping[str, tuple[str, Mapping[str, Any]]],
    given: Mapping[str, Any],
    instead: Mapping[str, str],
) -> Any:
    """Creates an object of the Keras class that a recipe refers to.

    Args:
        field: Name of the recipe field.
        value: Name, or name and settings.
        module: Keras module of the classes.
        base: Their base class.
        ours: Names defined by zoo, with their class and settings.
        given: Settings from the harness, used if the class accepts them.
        instead: Settings that are not allowed here, with an alternative for each.

    Raises:
        UsageError: The class or setting does not exist, or the class refuses a value.
    """
    name, settings = name_and_settings(value)
    short, defaults = ours.get(name.lower(), (name, {}))
    classes = {each: kind for each, kind in vars(module).items() if _fits(kind, base)}
    found = find_name(short, classes)
    if found is None:
        raise unknown_name(field, name, {*ours, *map(_snake_case, classes)})
    takes = _settings(classes[found])
    for setting in settings:
        if setting in instead:
            raise UsageError(f"Recipe field '{field}' cannot set '{setting}'.", instead[setting])
        if setting not in takes:
            raise unknown_name(f"setting of {field} '{name}'", setting, takes - instead.keys())
    arguments = {**{each: setting for each, setting in given.items() if each in takes}, **defaults, **settings}
    try:
        return classes[found](**arguments)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UsageError(f"Recipe field '{field}' cannot be {value!r}: {reason}") from error


def _snake_case(name: str) -> str:
    """The name of a class in a recipe: ``categorical_hinge``, but ``rmsprop``, as in Keras."""
    return re.sub(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=^KL)", "_", name).lower()


def _fits(kind: Any, base: type) -> bool:
    """Whether objects of the class can be created without arguments. A wrapper of an optimizer needs an optimizer."""
    if not (inspect.isclass(kind) and issubclass(kind, base) and kind is not base):
        return False
    own = list(inspect.signature(kind.__init__).parameters.values())[1:]
    return all(each.default is not each.empty or each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL) for each in own)


def _settings(kind: type) -> set[str]:
    """Names of everything that the constructors of a class take."""
    found: set[str] = set()
    for each in inspect.getmro(kind):
        if each is object or not each.__module__.startswith("keras."):
            break
        parameters = inspect.signature(each.__init__).parameters.values()  # type: ignore[misc]
        found |= {item.name for item in parameters if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)}
        if not any(item.kind is item.VAR_KEYWORD for item in parameters):
            break
    return found - {"self"}
