"""Description of a device: processor, cores, memory, system."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import Any

#: Where Linux mounts the control groups, and the file that names those of this process.
_GROUPS, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def describe_machine(name: str | None = None) -> dict[str, Any]:
    """The description of the device in the JSON of a benchmark.

    Args:
        name: Name of the device. The default is its processor and the number of cores available to this process.
    """
    cpu, cores = cpu_name(), core_count()
    return {
        "name": name or f"{cpu}, {cores} core{'s' if cores > 1 else ''}",
        "cpu": cpu,
        "cores": cores,
        "memory_bytes": _memory_bytes(),
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def core_count() -> int:
    """Number of cores that this process may use. Under taskset or in a container, the machine may have more."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min([cores, *(max(1, ceil(quota)) for quota in _quotas())])


def usable_memory_bytes() -> int | None:
    """Memory that this process may use: that of the machine, or the limit of its container. ``None`` if unknown."""
    limits = [int(text) for text in _limits("memory.max") if text.isdecimal()]
    machine = _memory_bytes()
    return min(limits + ([machine] if machine else []), default=None)


def _quotas(mount: Path = _GROUPS, process: Path = _OWN_GROUP) -> Iterator[float]:
    """Yields the CPU limit in cores of each control group of this process that has a limit."""
    for text in _limits("cpu.max", mount, process):
        with suppress(ValueError):
            quota, period = text.split()
            yield int(quota) / int(period)


def _limits(name: str, mount: Path = _GROUPS, process: Path = _OWN_GROUP) -> Iterator[str]:
    """Yields the text of a file in each control group of this process that has it."""
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::/"):
            group = mount / line.removeprefix("0::/")
            for folder in (group, *group.parents):
                if mount in (folder, *folder.parents):
                    with suppress(OSError):
                        yield (folder / name).read_text().strip()


def cpu_name() -> str:
    """Name of the processor, such as ``AMD EPYC 9B14``, or of the board, such as ``Raspberry Pi 5 Model B Rev 1.0``."""
    found = _of_cpuinfo() or _of_board() or _of_macos() or platform.processor() or platform.machine()
    return " ".join(found.split())


def peak_memory_bytes() -> int | None:
    """Peak memory of this process. ``None`` if the system does not report it."""
    try:
        # Not getrusage, because on Linux it includes the memory of the parent before exec.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None  # Windows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def _of_cpuinfo() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        # "model name" on x86, "Model" on a Raspberry Pi; on some systems, it is only a number
        if key.strip() in ("model name", "Model") and value.strip() and not value.strip().isdigit():
            return value
    return ""


def _of_board() -> str:
    try:
        return Path("/proc/device-tree/model").read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _of_macos() -> str:
    if platform.system() != "Darwin":
        return ""
    import subprocess

    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
