"""An optimizer or a loss in a recipe: a name, or a mapping of ``name`` and settings of the Keras class of that name.

This module does not import Keras. The names are looked up in ``zoo.training``, which loads Keras.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from zoo.errors import UsageError

#: A name such as ``nadam``, or ``{"name": "rmsprop", "momentum": 0.9}``.
KerasName = str | Mapping[str, Any]

#: Optimizers whose settings are chosen by zoo: the name in recipes, the Keras class and its settings.
OUR_OPTIMIZERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "lamb": ("Lamb", {}),
    "sgd": ("SGD", {"momentum": 0.9, "nesterov": True}),
}


def read_keras_name(field: str, value: Any) -> KerasName:
    """Reads a value of ``optimizer`` or ``loss``. Text that starts with ``{`` is read as JSON.

    Returns:
        The name, or a mapping of ``name`` and at least one setting.

    Raises:
        UsageError: The value has another form, or a setting is not a number, a string, true, false, or a list of these.
    """
    example = f'For example: {field} nadam, or {{"name": "sgd", "momentum": 0.5}}.'
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = read_mapping(field, value)
    if isinstance(value, Mapping):
        settings = {str(name): setting for name, setting in value.items() if name != "name"}
        name = value.get("name")
        for setting, given in settings.items():
            if not _is_plain(given):
                raise UsageError(f"Recipe field '{field}' has an invalid setting '{setting:.80}'.", example)
    else:
        settings, name = {}, value
    if not isinstance(name, str) or not name.isidentifier():
        shown = name if name is None or isinstance(name, str | int | float) else type(name).__name__
        raise UsageError(f"Recipe field '{field}' needs a name. Received: {shown!r:.80}.", example)
    return {"name": name, **settings} if settings else name


def name_and_settings(value: KerasName) -> tuple[str, dict[str, Any]]:
    """The name and the settings, which may be empty."""
    if isinstance(value, str):
        return value, {}
    settings = dict(value)
    return settings.pop("name"), settings


def find_name(name: str, known: Iterable[str]) -> str | None:
    """Finds the matching known name: ``rmsprop`` and ``rms_prop`` match ``RMSprop``."""
    wanted = name.replace("_", "").lower()
    return next((each for each in known if each.replace("_", "").lower() == wanted), None)


def read_mapping(field: str, text: str) -> dict[str, Any]:
    """Reads a mapping in JSON, as on the command line.

    Raises:
        UsageError: The text is not a JSON object.
    """
    from zoo.records import read_object

    try:
        return read_object(text)
    except ValueError as error:
        raise UsageError(f"Recipe field '{field}' is not valid JSON: {error}. Received: {text!r:.80}.") from None


def as_json(value: Mapping[str, Any]) -> str:
    """Writes a mapping as JSON for ``read_mapping``."""
    return json.dumps(dict(value))


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= 64 and all(item is None or isinstance(item, str | int | float) for item in value)
    return value is None or isinstance(value, str | int | float)
