"""Temperature, clock frequency and energy from the files of the kernel."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from zoo.edge.sensors import EnergyMeter, frequency_mhz, temperature_c


def write(root: Path, **files: object) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


def test_a_kernel_without_sensors_reports_nothing(tmp_path: Path) -> None:
    meter = EnergyMeter(tmp_path)
    assert (temperature_c(tmp_path), frequency_mhz(tmp_path)) == (None, None)
    assert (meter.source, meter.joules()) == (None, None)


def test_the_hottest_sensor_of_the_processor_counts(tmp_path: Path) -> None:
    zones = {
        0: ("cpu-thermal", 61_200),
        1: ("soc-thermal", 58_000),
        2: ("iwlwifi_1", 90_000),
        3: ("cpu-dead", -274_000),
    }
    for number, (kind, value) in zones.items():
        zone = f"class/thermal/thermal_zone{number}"
        write(tmp_path, **{f"{zone}/type": kind, f"{zone}/temp": value})
    assert temperature_c(tmp_path) == 61.2
    write(tmp_path, **{"class/hwmon/hwmon3/name": "k10temp", "class/hwmon/hwmon3/temp1_input": 70_500})
    write(tmp_path, **{"class/hwmon/hwmon4/name": "nvme", "class/hwmon/hwmon4/temp1_input": 99_000})
    assert temperature_c(tmp_path) == 70.5


def test_the_clock_is_the_mean_of_all_cores(tmp_path: Path) -> None:
    for core, khz in enumerate((1_500_000, 1_800_000)):
        write(tmp_path, **{f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq": khz})
    write(tmp_path, **{"devices/system/cpu/cpu2/cpufreq/scaling_cur_freq": "<unknown>"})
    assert frequency_mhz(tmp_path) == 1650


def test_energy_is_counted_by_package_and_over_the_end_of_a_counter(tmp_path: Path) -> None:
    zones = {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1", "intel-rapl:0:0": "core"}
    for zone, name in zones.items():
        folder = f"class/powercap/{zone}"
        write(tmp_path, **{f"{folder}/name": name, f"{folder}/energy_uj": 9_000_000})
        write(tmp_path, **{f"{folder}/max_energy_range_uj": 10_000_000})
    meter = EnergyMeter(tmp_path)
    assert meter.source == "processor packages"
    write(tmp_path, **{"class/powercap/intel-rapl:0/energy_uj": 9_500_000})
    assert meter.joules() == pytest.approx(0.5)
    write(tmp_path, **{"class/powercap/intel-rapl:1/energy_uj": 1_000_000})
    assert meter.joules() == pytest.approx(2.0)
    (tmp_path / "class/powercap/intel-rapl:1/energy_uj").unlink()
    assert meter.joules() is None


def test_a_package_that_two_interfaces_report_counts_once(tmp_path: Path) -> None:
    folders = [f"class/powercap/{zone}" for zone in ("intel-rapl:0", "intel-rapl-mmio:0")]
    for folder in folders:
        write(tmp_path, **{f"{folder}/name": "package-0", f"{folder}/energy_uj": 1_000_000})
    meter = EnergyMeter(tmp_path)
    for folder in folders:
        write(tmp_path, **{f"{folder}/energy_uj": 11_000_000})
    assert meter.joules() == pytest.approx(10.0)
    (tmp_path / folders[0] / "energy_uj").unlink()  # as if it could not be read
    meter = EnergyMeter(tmp_path)
    write(tmp_path, **{f"{folders[1]}/energy_uj": 13_000_000})
    assert meter.joules() == pytest.approx(2.0)


@pytest.mark.parametrize("name", ["amdgpu", "nvme", "BAT0", "", "corsairpsu"])
def test_the_power_of_other_devices_is_not_that_of_the_processor(tmp_path: Path, name: str) -> None:
    write(tmp_path, **{"class/hwmon/hwmon3/name": name, "class/hwmon/hwmon3/power1_average": 25_000_000})
    meter = EnergyMeter(tmp_path)
    assert (meter.source, meter.joules()) == (None, None)
    write(tmp_path, **{"class/hwmon/hwmon4/name": "ina226", "class/hwmon/hwmon4/power1_input": 3_000_000})
    assert EnergyMeter(tmp_path).source == "power sensor ina226"


def test_power_is_the_largest_sensor_times_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, **{"class/hwmon/hwmon1/name": "zenpower"})
    write(tmp_path, **{"class/hwmon/hwmon1/power1_input": 5_000_000, "class/hwmon/hwmon1/power2_average": 2_000_000})
    clock = iter((10.0, 12.0))
    monkeypatch.setattr("zoo.edge.sensors.time", SimpleNamespace(monotonic=lambda: next(clock)))
    meter = EnergyMeter(tmp_path)
    assert meter.source == "power sensor zenpower"
    write(tmp_path, **{"class/hwmon/hwmon1/power1_input": 7_000_000})
    assert meter.joules() == pytest.approx(12.0)
