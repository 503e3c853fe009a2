"""The machine of a run: processor, cores, library versions."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from zoo.edge.machine import core_count, cpu_name, usable_memory_bytes

__all__ = ["core_count", "installed", "machine", "usable_memory_bytes", "versions"]

_DISTRIBUTIONS = (
    "keras-edge-zoo",
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "numpy",
    "opencv-python-headless",
    "scikit-learn",
)


def machine() -> dict[str, str | int]:
    """Processor name, cores this process may use, and platform."""
    return {"cpu": cpu_name(), "cores": core_count(), "platform": platform.platform()}


def versions() -> dict[str, str]:
    """Versions of Python and of all installed libraries that can affect numerical results."""
    return {"python": platform.python_version()} | installed(_DISTRIBUTIONS)


def installed(distributions: Iterable[str]) -> dict[str, str]:
    """Versions of those distributions that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
