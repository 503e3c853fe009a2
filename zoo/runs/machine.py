"""What a run was made on: processor, cores, library versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from collections.abc import Iterable

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
    return {"cpu": _cpu_name(), "cores": core_count(), "platform": platform.platform()}


def core_count() -> int:
    """Cores this process may use: fewer than the machine has, inside a container or under taskset."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Of Python and of every installed library that can change a number."""
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


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            # "model name" on x86, "Model" on a Raspberry Pi.
            if line.lower().startswith(("model name", "model\t")) and not line.split(":", 1)[1].strip().isdigit():
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
