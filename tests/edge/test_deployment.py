"""The systemd unit and the Dockerfile of a bundle, as far as they can be checked without root and Docker."""

from __future__ import annotations

import configparser
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.edge.machine import _limits, _quotas
from zoo.edge.main import _parse

PLACE = "/opt/image-classifier"


def instructions(text: str) -> list[tuple[str, str]]:
    """Name and arguments of every instruction of a Dockerfile."""
    lines = [line for line in text.replace("\\\n", "").splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_dockerfile_copies_what_is_there_and_runs_as_nobody(onnx_bundle: Path) -> None:
    found = instructions((onnx_bundle / "Dockerfile").read_text())
    names = [name for name, _ in found]
    assert names[0] == "FROM"
    for name, rest in found:
        if name == "COPY":
            *sources, _ = rest.split()
            assert all((onnx_bundle / source).exists() for source in sources)
    assert dict(found)["USER"] == "65532:65532"
    assert names.index("USER") > max(place for place, name in enumerate(names) if name in ("RUN", "COPY"))
    (onnx_bundle / "venv").mkdir()
    ignored = (onnx_bundle / ".dockerignore").read_text().split()
    assert {"venv", "**/__pycache__"} <= set(ignored)
    recorded = json.loads((onnx_bundle / "spec.json").read_text())["files"]
    assert not [name for name in recorded if any(part in ignored for part in Path(name).parts)]
    # The command of the build, and the command of the container.
    for command in (dict(found)["RUN"].split(), json.loads(dict(found)["ENTRYPOINT"])):
        assert command[:2] == ["python", "run.py"]
        _parse(command[2:])  # accepts it


def settings(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_the_unit_runs_the_runner_and_may_write_nothing(onnx_bundle: Path) -> None:
    service = settings((onnx_bundle / "image-classifier.service").read_text())["Service"]
    for name in ("ExecStartPre", "ExecStart"):
        python, script, *arguments = shlex.split(service[name])
        assert (python, script) == (f"{PLACE}/venv/bin/python", "run.py")
        _parse(arguments)  # accepts them
    assert service["WorkingDirectory"] == PLACE
    wanted = {"DynamicUser": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "CapabilityBoundingSet": ""}
    assert {name: service[name] for name in wanted} == wanted
    assert float(service["TimeoutStopSec"]) > 10  # longer than the service takes to answer accepted requests


def test_systemd_finds_nothing_wrong_with_the_unit(onnx_bundle: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on this machine")
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    unit = tmp_path / "image-classifier.service"
    unit.write_text((onnx_bundle / unit.name).read_text().replace(PLACE, str(tmp_path)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit]
    rated = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert rated.returncode == 0, rated.stdout  # 2.0 of 10; a service without restrictions has 10


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    (tmp_path / "mount" / "a" / "b").mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/a/b\n")
    return tmp_path


def test_a_container_that_may_use_two_cores_of_many_has_two(groups: Path) -> None:
    assert list(_quotas(groups / "mount", groups / "cgroup")) == []
    (groups / "mount" / "a" / "cpu.max").write_text("150000 100000\n")
    (groups / "mount" / "a" / "b" / "cpu.max").write_text("max 100000\n")
    (groups / "cpu.max").write_text("1 1\n")  # above the mount: no group
    assert list(_quotas(groups / "mount", groups / "cgroup")) == [1.5]
    assert list(_quotas(groups / "mount", groups / "absent")) == []


def test_the_memory_limit_of_a_container_is_read(groups: Path) -> None:
    (groups / "mount" / "a" / "memory.max").write_text("3000000000\n")
    (groups / "mount" / "a" / "b" / "memory.max").write_text("max\n")
    assert list(_limits("memory.max", groups / "mount", groups / "cgroup")) == ["max", "3000000000"]
