"""Temperature, clock frequency and power of a device, where its kernel reports them. Linux only."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

_SYS = Path("/sys")

#: Types of thermal zones and names of sensors that measure the processor.
_OF_PROCESSOR = re.compile(r"cpu|soc|pkg|coretemp|k10temp|zenpower", re.IGNORECASE)

_POWER = ("_input", "_average")


def temperature_c(root: Path = _SYS) -> float | None:
    """Temperature of the hottest sensor of the processor in degrees Celsius. ``None`` if there is none."""
    found: list[float] = []
    for zone in root.glob("class/thermal/thermal_zone*"):
        if _OF_PROCESSOR.search(_text(zone / "type")):
            found += _numbers([zone / "temp"])
    for sensor in root.glob("class/hwmon/hwmon*"):
        if _OF_PROCESSOR.search(_text(sensor / "name")):
            found += _numbers(sensor.glob("temp*_input"))
    # A sensor without a reading shows 0, or a value far below 0.
    return max((value / 1000 for value in found if value > 0), default=None)


def frequency_mhz(root: Path = _SYS) -> float | None:
    """Clock frequency in MHz, the mean of all processors. ``None`` if the kernel does not report it."""
    found = list(_numbers(root.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")))
    return fmean(found) / 1000 if found else None


class EnergyMeter:
    """Measures the energy that is used from now on, with the counters of RAPL, or else with a power sensor.

    RAPL measures the processor packages. On most systems, only root may read it. A power sensor is read at every call.
    Of several power sensors, the one with the largest value is used, because others measure parts of the same power.

    Args:
        root: Where the kernel's files are.
    """

    def __init__(self, root: Path = _SYS) -> None:
        self._root = root
        self._counters = {path: value for path in self._packages() for value in _numbers([path])}
        self._time, self._watts = time.monotonic(), None if self._counters else self._power()
        #: What is measured: ``processor packages``, ``power sensor``, or ``None`` if nothing is known.
        self.source = "processor packages" if self._counters else None if self._watts is None else "power sensor"

    def joules(self) -> float | None:
        """Energy since the last call, in joules. ``None`` if it is not known."""
        if self._counters:
            return self._counted()
        now, watts = time.monotonic(), self._power()
        took, before = now - self._time, self._watts
        self._time, self._watts = now, watts
        return None if watts is None or before is None else took * (before + watts) / 2

    def _counted(self) -> float | None:
        used = 0.0
        for path, before in self._counters.items():
            values = [*_numbers([path])]
            if not values:
                return None
            self._counters[path] = values[0]
            used += values[0] - before
            if values[0] < before:  # the counter has started again from 0
                used += next(_numbers([path.with_name("max_energy_range_uj")]), 0.0)
        return used / 1e6

    def _packages(self) -> Iterator[Path]:
        for zone in self._root.glob("class/powercap/*"):
            if _text(zone / "name").startswith("package"):
                yield zone / "energy_uj"

    def _power(self) -> float | None:
        sensors = self._root.glob("class/hwmon/hwmon*")
        found = [path for sensor in sensors for path in sensor.glob("power[0-9]*_*") if path.name.endswith(_POWER)]
        return max((value / 1e6 for value in _numbers(found) if value > 0), default=None)


def _numbers(paths: Iterator[Path] | list[Path]) -> Iterator[float]:
    for path in paths:
        try:
            yield float(_text(path))
        except ValueError:
            continue


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
