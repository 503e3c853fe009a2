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

#: Names of power sensors that measure the processor (``fam15h_power``, ``zenpower``, ``apm_xgene``), the board
#: (``ina219`` and its relatives) or the whole machine (``power_meter``). Others measure a graphics card or a drive.
_OF_POWER = re.compile(r"fam15h_power|zenpower|apm_xgene|ina\d+|power_meter")
_POWER = ("_input", "_average")

#: Interfaces of RAPL, in order of preference. All report the same packages.
_RAPL = ("intel-rapl", "intel-rapl-tpmi", "intel-rapl-mmio")


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

    RAPL measures the processor packages. On most systems, only root may read it. A power sensor must measure the
    processor, the board or the machine, and is read at every call. Of several, the one with the largest value at the
    start is used, because others measure parts of the same power.

    Args:
        root: Where the kernel's files are.
    """

    def __init__(self, root: Path = _SYS) -> None:
        self._counters = _counters(root)
        self._sensor = None if self._counters else _power_sensor(root)
        self._time, self._watts = time.monotonic(), self._power()
        #: What is measured: ``processor packages``, ``power sensor`` and its name, or ``None`` if nothing is known.
        self.source: str | None = None
        if self._counters:
            self.source = "processor packages"
        elif self._sensor:
            self.source = f"power sensor {_text(self._sensor.with_name('name'))}"

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

    def _power(self) -> float | None:
        return next((value / 1e6 for value in _numbers([self._sensor] if self._sensor else [])), None)


def _counters(root: Path) -> dict[Path, float]:
    """The counter of each processor package and its value in microjoules, from the first interface that has any."""
    for interface in _RAPL:
        zones = root.glob(f"class/powercap/{interface}:*")
        paths = [zone / "energy_uj" for zone in zones if _text(zone / "name").startswith("package")]
        if found := {path: value for path in paths for value in _numbers([path])}:
            return found
    return {}


def _power_sensor(root: Path) -> Path | None:
    """The power sensor with the largest value. ``None`` if there is none above 0."""
    sensors = [sensor for sensor in root.glob("class/hwmon/hwmon*") if _OF_POWER.fullmatch(_text(sensor / "name"))]
    paths = [path for sensor in sensors for path in sensor.glob("power[0-9]*_*") if path.name.endswith(_POWER)]
    found = [(value, path) for path in paths for value in _numbers([path]) if value > 0]
    return max(found)[1] if found else None


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
