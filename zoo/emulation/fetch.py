"""Downloads the emulator, a system for it and the wheels of a bundle, without root privileges.

``apt-get`` uses the package source of this machine and verifies signatures and hashes. ``pip`` verifies hashes.
Downloaded packages are kept until they are unpacked.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from zoo.atomic import make_folder, write_text
from zoo.atomic_folders import folder_aside, put_folder
from zoo.emulation.place import PROGRAM, find_program, folder, python_of, system_folder, wheels_folder
from zoo.errors import UsageError
from zoo.locks import locked
from zoo.reporter import Reporter
from zoo.terminal import readable

#: Release of Debian, the same as in Raspberry Pi OS since 2025. It contains QEMU 10 and Python 3.13.
SUITE = "trixie"
#: Minor version of its glibc, 2.41. Wheels for older versions also work.
_GLIBC_MINOR = 41

_SYSTEM = ("python3", "libstdc++6", "libgomp1", "libatomic1")


def fetch_emulator(requirements: Sequence[str], reporter: Reporter) -> None:
    """Downloads the missing parts for a bundle with these requirements.

    Raises:
        UsageError: This system has no ``apt-get``, or a download failed.
        DataError: The folder cannot be written.
    """
    if sys.platform != "linux":
        raise UsageError(f"The emulator runs on Linux. This is {sys.platform}.", "Use a container with Debian.")
    target = folder()
    make_folder(target)
    busy = UsageError(f"Another command is writing to {target}.", "Wait until it is finished.")
    with locked(target / "fetch.lock", busy):
        apt = _Apt(target / "downloads")
        try:
            find_program()
        except UsageError:
            reporter.stage(f"Downloading {PROGRAM} to {target}")
            _fetch_program(apt, target)
        if not python_of(system_folder()).is_file():
            reporter.stage(f"Downloading an aarch64 Python to {target}")
            _fetch_system(apt, system_folder())
        if not wheels_folder(requirements).is_dir():
            reporter.stage(f"Downloading aarch64 wheels to {target}")
            _fetch_wheels(requirements, wheels_folder(requirements))
        shutil.rmtree(target / "downloads", ignore_errors=True)


class _Apt:
    """``apt-get`` with its state in a folder of its own, and one source: the mirror of this machine with ``SUITE``."""

    def __init__(self, downloads: Path) -> None:
        self.downloads = downloads
        self._updated = False

    def download(self, architecture: str, *packages: str, needs: bool) -> list[Path]:
        """Downloads packages, with ``needs`` also their dependencies, and returns the paths of the files."""
        self._update()
        place = self.downloads / f"archives-{architecture}"
        for path in (place, place / "partial"):
            make_folder(path)
        of = (*self._options(), "-o", f"APT::Architecture={architecture}", "-o", f"Dir::Cache::archives={place}")
        if needs:
            _run("apt-get", *of, "install", "-y", "--download-only", "--no-install-recommends", *packages)
        else:
            _run("apt-get", *of, "download", *packages, cwd=place)
        return sorted(place.glob("*.deb"))

    def _update(self) -> None:
        if self._updated:
            return
        for name in ("lists/partial", "archives/partial"):
            make_folder(self.downloads / name)
        write_text(self.downloads / "status", "")
        write_text(self.downloads / "sources.list", f"deb {_source()} {SUITE} main\n")
        _run("apt-get", *self._options(), "update")
        self._updated = True

    def _options(self) -> list[str]:
        own = {
            "Dir::Etc::sourcelist": self.downloads / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": self.downloads,
            "Dir::State::lists": self.downloads / "lists",
            "Dir::State::status": self.downloads / "status",
            "Dir::Cache": self.downloads,
            "APT::Sandbox::User": "root",  # started by root, it would otherwise become _apt, which may not write here
            "APT::Update::Error-Mode": "any",  # otherwise a mirror that cannot be reached is only a warning
            "APT::Architectures::": "arm64",
        }
        values = [f"{name}={value}" for name, value in own.items()]
        values.append(f"APT::Architectures::={_architecture()}")
        return [word for value in values for word in ("-o", value)]


def _source() -> str:
    """Address of the Debian mirror of this machine and its keyring, in the format of ``sources.list``.

    Raises:
        UsageError: The system is not Debian and has no package source of Debian.
    """
    mirrors = [uri for origin, label, _, uri in _repositories() if origin == label == "Debian"]
    if not mirrors and _is_debian():
        # The origin is part of the package lists, which container images do not have.
        mirrors = [uri for _, _, suite, uri in _repositories("--no-release-info") if re.fullmatch("[a-z]+", suite)]
        mirrors.sort(key=lambda uri: not uri.endswith("/debian/"))  # most mirrors have this path
    if not mirrors:
        raise UsageError("apt-get names no package source of Debian.", "This needs Debian. Use a container with it.")
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    return f"[signed-by={keyring}] {mirrors[0]}" if keyring.is_file() else mirrors[0]


def _repositories(*options: str) -> list[list[str]]:
    """Origin, label, suite and address of each repository of this machine that has a component ``main``."""
    form = "|".join(f"$({name})" for name in ("COMPONENT", "ORIGIN", "LABEL", "RELEASE", "REPO_URI"))
    said = _run("apt-get", "indextargets", *options, "--format", form, "Created-By: Packages")
    found = [line.split("|") for line in said.splitlines()]
    return [words[1:] for words in found if len(words) == 5 and words[0] == "main"]


def _is_debian() -> bool:
    try:
        return platform.freedesktop_os_release()["ID"] == "debian"
    except OSError:
        return False


def _architecture() -> str:
    return _run("dpkg", "--print-architecture").strip()


def _fetch_program(apt: _Apt, target: Path) -> None:
    (package,) = apt.download(_architecture(), "qemu-user", needs=False)[-1:]
    aside = target / f".{PROGRAM}.{os.getpid()}"
    try:
        with (
            subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacking,
            tarfile.open(fileobj=unpacking.stdout, mode="r|") as files,
        ):
            for member in files:  # the package contains about sixty emulators
                if Path(member.name).name == PROGRAM and (content := files.extractfile(member)):
                    aside.write_bytes(content.read())
                    break
            unpacking.kill()
        if not aside.is_file():
            raise UsageError(f"{package.name} does not contain {PROGRAM}.")
        aside.chmod(0o755)
        aside.replace(target / PROGRAM)
    finally:
        aside.unlink(missing_ok=True)


def _fetch_system(apt: _Apt, system: Path) -> None:
    packages = apt.download("arm64", *_SYSTEM, needs=True)
    with folder_aside(system) as aside:
        for package in packages:
            _run("dpkg-deb", "-x", str(package), str(aside))
        if not (aside / "lib").exists():
            (aside / "lib").symlink_to("usr/lib")  # created by base-files, which is not among the dependencies
        put_folder(aside, system)


def _fetch_wheels(requirements: Sequence[str], wheels: Path) -> None:
    for line in requirements:
        try:
            Requirement(line)
        except InvalidRequirement as error:
            raise UsageError(f"The bundle requires {line!r:.80}, which pip cannot install: {error}.") from error
    version = python_of(system_folder()).resolve().name.removeprefix("python")  # such as 3.13
    tag = f"cp{version.replace('.', '')}"
    platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(_GLIBC_MINOR, 16, -1)] + ["manylinux2014_aarch64"]
    with folder_aside(wheels) as aside:
        options = ["--target", str(aside), "--only-binary=:all:", "--no-compile", "--no-input", "--progress-bar=off"]
        options += ["--disable-pip-version-check", "--python-version", version, "--implementation", "cp"]
        options += [word for abi in (tag, "abi3", "none") for word in ("--abi", abi)]
        options += [word for name in platforms for word in ("--platform", name)]
        # The user's settings of pip apply, except one that cannot be combined with --target.
        _run(sys.executable, "-m", "pip", "install", *options, *requirements, environment={"PIP_USER": "0"})
        put_folder(aside, wheels)


def _run(*command: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> str:
    name = "pip" if "pip" in command[:3] else command[0]
    env = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", **(environment or {})}
    try:
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise UsageError(f"There is no {name} here.", "This needs Debian. Use a container with it.") from error
    if done.returncode:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        told = [line for line in lines if line.startswith(("E:", "ERROR:"))] or lines or ["no message"]
        raise UsageError(f"{name} failed: {readable(told[0].removeprefix('ERROR:').removeprefix('E:').strip())}")
    return done.stdout.decode(errors="replace")
