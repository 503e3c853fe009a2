"""The origin of a plugin's code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo.interfaces import Architecture, Dataset, Exporter
from zoo.registry import plugin_manager


def plugin_module(record: Any) -> str:
    """The module that zoo imports to find a record: that of its entry point, or the package of its function."""
    if not isinstance(record, Architecture | Dataset | Exporter):
        return module_of(record.make)
    for plugin in plugin_manager().plugins:
        if record in plugin.records:
            return plugin.module
    if isinstance(record, Architecture):
        return module_of(record.build).partition(".")[0]
    return module_of(record.convert if isinstance(record, Exporter) else record.write).partition(".")[0]


def module_of(function: Callable[..., Any]) -> str:
    """The module in which a function is defined."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    return getattr(function, "__module__", None) or type(function).__module__
