"""A program that replaces the emulator: it runs this machine's Python, reports ARM, and can be made to fail."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.edge.bundle import read_bundle
from zoo.emulation.place import folder, python_of, system_folder, wheels_folder

SCRIPT = """#!/bin/sh
[ "$1" = --version ] && echo "qemu-aarch64 version {version} (Debian 1:{version})" && exit
[ "$2" = help ] && printf 'Available CPUs:\\n  cortex-a72\\n  cortex-a76\\n  max\\n' && exit
shift 5
unset PYTHONHOME PYTHONPATH PYTHONPYCACHEPREFIX
export PYTHONDONTWRITEBYTECODE=1
exec {python} -c '{code}' "$@"
"""
RUN = """
import platform, runpy, sys
platform.machine = lambda: "{machine}"
{fault}
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

FakeEmulator = Callable[..., Path]


@pytest.fixture
def onnx_bundle(digits_exports: Path, tmp_path: Path) -> Path:
    """A copy of a bundle, with its archive beside it."""
    name = "simple_cnn-onnx-float32"
    shutil.copy(digits_exports / f"{name}.zip", tmp_path)
    return Path(shutil.copytree(digits_exports / name, tmp_path / name))


@pytest.fixture
def no_emulator(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and no emulator on the PATH."""
    monkeypatch.setattr("shutil.which", lambda name: None)


@pytest.fixture
def fake_emulator(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEmulator:
    """``fake_emulator(bundle, version="10.0.2", fault="")`` adds it to the PATH, with all files that a bundle needs.

    ``fault`` is Python code that runs first; ``code`` replaces everything else.
    """

    def make(
        bundle: Path | None = None,
        *,
        version: str = "10.0.2",
        machine: str = "aarch64",
        fault: str = "",
        code: str | None = None,
    ) -> Path:
        program = tmp_path / "bin" / "qemu-aarch64"
        program.parent.mkdir(exist_ok=True)
        code = RUN.format(machine=machine, fault=fault) if code is None else code
        assert "'" not in code
        program.write_text(SCRIPT.format(version=version, python=sys.executable, code=code))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        assert folder() == own_cache / "arm64"
        if bundle is not None:
            python = python_of(system_folder())
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
            wheels_folder(read_bundle(bundle).requires).mkdir(exist_ok=True)
        return program

    return make
