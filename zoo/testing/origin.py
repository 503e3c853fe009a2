"""Where a plugin's code comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoo.interfaces import Architecture
from zoo.registry import plugin_manager


def plugin_module(architecture: Architecture) -> str:
    """The module that zoo imports to find an architecture: its entry point's, or the package that builds it."""
    for plugin in plugin_manager().plugins:
        if architecture in plugin.records:
            return plugin.module
    return _module_of(architecture.build).partition(".")[0]


def _module_of(build: Callable[..., Any]) -> str:
    while hasattr(build, "func"):  # functools.partial
        build = build.func
    return getattr(build, "__module__", None) or type(build).__module__
