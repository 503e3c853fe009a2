"""Keras's global settings, which a plugin must not change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

#: Name for messages, getter and setter.
_SETTINGS: dict[str, tuple[Any, Any]] = {
    "dtype policy": (keras.config.dtype_policy, keras.config.set_dtype_policy),
    "floatx": (keras.config.floatx, keras.config.set_floatx),
    "epsilon": (keras.config.epsilon, keras.config.set_epsilon),
    "image data format": (keras.config.image_data_format, keras.config.set_image_data_format),
}


def keras_settings() -> dict[str, Any]:
    """The current global settings."""
    return {name: read() for name, (read, _) in _SETTINGS.items()}


def changed_settings(before: dict[str, Any]) -> list[str]:
    """Describes each setting that has changed."""
    return [
        f"{name} was {_text(before[name])} and is {_text(value)}"
        for name, value in keras_settings().items()
        if _text(value) != _text(before[name])
    ]


@contextmanager
def settings_kept() -> Iterator[None]:
    """Restores the settings when the block ends, so that a plugin that changes them only fails its own checks."""
    before = keras_settings()
    try:
        yield
    finally:
        for name, (read, write) in _SETTINGS.items():
            if _text(read()) != _text(before[name]):
                write(before[name])


def _text(value: Any) -> str:
    return str(getattr(value, "name", value))  # the name of a dtype policy
