"""Finds the emulator, its system and the wheels of a bundle."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.cache import cache_folder
from zoo.errors import UsageError, unknown_name

PROGRAM = "qemu-aarch64"

#: Version 7.2 of QEMU crashes in ONNX Runtime.
LEAST_VERSION = (8, 0)


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """The parts that run a bundle on an emulated processor.

    Args:
        program: QEMU's user-mode emulator.
        version: Version of the emulator.
        system: Folder of the Debian system for it.
        wheels: Folder of the packages that the bundle requires.
        compiled: Folder for the bytecode of Python.
    """

    program: Path
    version: str
    system: Path
    wheels: Path
    compiled: Path

    @property
    def python(self) -> Path:
        return python_of(self.system)

    def check(self, processor: str) -> None:
        """Raises ``UsageError`` if the emulator does not know the processor."""
        said = _said(self.program, "-cpu", "help")
        names = [line.strip() for line in said.splitlines() if re.fullmatch(r"\s+[a-z0-9-]+", line)]
        if processor not in names:
            raise unknown_name("processor", processor, names)


def folder() -> Path:
    """The folder of emulator, system and wheels."""
    return cache_folder() / "arm64"


def system_folder() -> Path:
    return folder() / "system"


def wheels_folder(requirements: Sequence[str]) -> Path:
    digest = hashlib.sha256("\n".join(sorted(requirements)).encode()).hexdigest()
    return folder() / f"wheels-{digest[:12]}"


def python_of(system: Path) -> Path:
    """The Python of a system."""
    return system / "usr" / "bin" / "python3"


def find_program() -> tuple[Path, str]:
    """The emulator and its version: the installed one, or the one that was downloaded.

    Raises:
        UsageError: There is no emulator that runs and is new enough.
    """
    on_path = shutil.which(PROGRAM)
    old, broken = "", None
    for path in (*([Path(on_path)] if on_path else []), folder() / PROGRAM):
        if not path.is_file():
            continue
        try:
            version = _version(path)
        except UsageError as error:
            broken = broken or error
            continue
        if tuple(int(part) for part in version.split(".")[:2]) >= LEAST_VERSION:
            return path, version
        old = old or f"{path} is version {version or 'unknown'}"
    least = ".".join(map(str, LEAST_VERSION))
    if old:
        raise UsageError(
            f"The emulator is too old: {old}. Expected: {least} or later, because older versions crash in ONNX Runtime."
        )
    if broken:
        raise broken
    raise UsageError(f"There is no emulator: neither {PROGRAM} on the PATH nor {folder() / PROGRAM}.")


def find_emulator(requirements: Sequence[str], fetch: str) -> Emulator:
    """Finds the parts that run a bundle with these requirements.

    Args:
        requirements: Requirements of the bundle, as ``pip`` reads them.
        fetch: The command that downloads missing parts, for the error.

    Raises:
        UsageError: A part is missing.
    """
    hint = f"This downloads what is missing (about 250 MB) to {folder()}:\n  {fetch}"
    try:
        program, version = find_program()
    except UsageError as error:
        raise UsageError(error.message, hint) from error
    system, wheels = system_folder(), wheels_folder(requirements)
    if not python_of(system).is_file():
        raise UsageError(f"There is no system for the emulator: {system} is missing.", hint)
    if not wheels.is_dir():
        raise UsageError(f"The aarch64 wheels of {', '.join(requirements)} are missing.", hint)
    return Emulator(program=program, version=version, system=system, wheels=wheels, compiled=folder() / "compiled")


def _version(program: Path) -> str:
    """The version, such as ``10.0.13``; ``0`` if the program does not print it."""
    found = re.search(r"version (\d+(?:\.\d+)+)", _said(program, "--version"))
    return found[1] if found else "0"


def _said(program: Path, *arguments: str) -> str:
    try:
        done = subprocess.run([program, *arguments], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"The emulator {program} does not run: {error}.") from error
    return done.stdout.decode(errors="replace")
