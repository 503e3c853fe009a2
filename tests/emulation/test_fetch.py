"""Downloads by ``apt-get`` and ``pip`` from a small repository and a folder of wheels on this machine."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from zoo.emulation import fetch as fetching
from zoo.emulation import fetch_emulator, find_emulator
from zoo.emulation.device import packages
from zoo.emulation.place import PROGRAM, folder
from zoo.errors import UsageError
from zoo.reporter import Reporter

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this system has no apt-get")


def add_package(repository: Path, name: str, architecture: str, files: dict[str, str | Path]) -> None:
    """Builds a Debian package from files and symbolic links, and adds it to the index of its architecture."""
    control = f"Package: {name}\nVersion: 1\nArchitecture: {architecture}\nMaintainer: zoo\nDescription: test\n"
    built = repository / "built" / name
    for path, content in {"DEBIAN/control": control, **files}.items():
        (built / path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            (built / path).symlink_to(content)
        else:
            (built / path).write_text(content)
    package = repository / f"{name}_1_{architecture}.deb"
    subprocess.run(["dpkg-deb", "--build", built, package], check=True, capture_output=True)
    index = repository / "dists" / fetching.SUITE / "main" / f"binary-{architecture}" / "Packages"
    index.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    with index.open("a") as file:
        file.write(f"{control}Filename: {package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n\n")


def add_wheel(wheels: Path, version: str, tag: str) -> None:
    """Adds a wheel of NumPy without its content."""
    wheels.mkdir(exist_ok=True)
    info = f"numpy-{version}.dist-info"
    with zipfile.ZipFile(wheels / f"numpy-{version}-{tag}.whl", "w") as wheel:
        wheel.writestr("numpy/__init__.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: numpy\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")


@needs_apt
@pytest.mark.usefixtures("no_emulator")
def test_missing_parts_are_downloaded_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    repository, wheels = tmp_path / "repository", tmp_path / "wheels"
    emulator = f"#!/bin/sh\necho {PROGRAM} version 10.0.2\n"
    add_package(
        repository, "qemu-user", fetching._architecture(), {"usr/bin/qemu-arm": "", f"usr/bin/{PROGRAM}": emulator}
    )
    add_package(repository, "python3", "arm64", {"usr/bin/python3.13": "", "usr/bin/python3": Path("python3.13")})
    for name in ("libstdc++6", "libgomp1", "libatomic1"):
        add_package(repository, name, "arm64", {f"usr/lib/{name}.so": ""})
    add_wheel(wheels, "2.4", "cp313-cp313-manylinux_2_28_aarch64")
    add_wheel(wheels, "2.5", "cp313-cp313-manylinux_2_99_aarch64")  # needs a newer glibc
    add_wheel(wheels, "2.6", "cp313-cp313-manylinux_2_28_x86_64")
    add_wheel(wheels, "2.7", "cp311-cp311-manylinux_2_28_aarch64")
    monkeypatch.setattr(fetching, "_source", lambda: f"[trusted=yes] copy:{repository}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    for _ in range(2):
        fetch_emulator(("numpy>=2.1",), Reporter())
        found = find_emulator(("numpy>=2.1",), "")
        assert (found.program, found.version) == (folder() / PROGRAM, "10.0.2")
        assert found.python.resolve().name == "python3.13"
        assert (found.system / "lib" / "libstdc++6.so").is_file()
        assert packages(found.wheels) == {"numpy": "2.4"}
        assert not (folder() / "downloads").exists()
        shutil.rmtree(repository, ignore_errors=True)
        shutil.rmtree(wheels, ignore_errors=True)


@needs_apt
@pytest.mark.usefixtures("no_emulator")
def test_a_mirror_that_cannot_be_reached_is_the_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fetching, "_source", lambda: f"[trusted=yes] copy:{tmp_path}/nowhere")
    with pytest.raises(UsageError, match=r"apt-get failed: .*nowhere"):
        fetch_emulator(("numpy>=2.1",), Reporter())


def test_a_user_without_a_name_can_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Such as in a container that was started with the number of a user."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 5)
    monkeypatch.setattr(fetching, "_architecture", lambda: "amd64")
    assert fetching._Apt(tmp_path)._options()


@needs_apt
@pytest.mark.parametrize(
    ("system", "lists", "mirror"),
    [
        ("debian", True, "http://mirror.example/linux/debian-copy/"),  # the origin in the lists says what it is
        ("ubuntu", True, "http://mirror.example/linux/debian-copy/"),
        ("debian", False, "http://deb.example/debian/"),  # no lists, as in a container image
        ("ubuntu", False, None),
    ],
)
def test_the_mirror_of_debian_is_found_among_other_repositories(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, system: str, lists: bool, mirror: str | None
) -> None:
    suites = {
        "http://chrome.example/linux/deb stable": "Google LLC",
        "http://mirror.example/linux/debian-copy bookworm": "Debian",
        "http://deb.example/debian bookworm": "Raspberry Pi Foundation",
        "http://deb.example/debian-security bookworm-security": "Debian",
    }
    state = tmp_path / "lists"
    (state / "partial").mkdir(parents=True)
    (tmp_path / "sources.list").write_text("".join(f"deb [trusted=yes] {suite} main\n" for suite in suites))
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{tmp_path}/sources.list"; Dir::Etc::sourceparts "/dev/null";'
        f'Dir::State::lists "{state}"; APT::Architecture "amd64"; APT::Architectures {{ "amd64"; }};'
    )
    for suite, origin in suites.items() if lists else ():
        uri, name = suite.removeprefix("http://").split()
        label = "Debian-Security" if "security" in name else origin
        start = f"{uri.replace('/', '_')}_dists_{name}"
        (state / f"{start}_main_binary-amd64_Packages").touch()
        (state / f"{start}_Release").write_text(
            f"Origin: {origin}\nLabel: {label}\nSuite: x\nCodename: x\nArchitectures: amd64\nComponents: main\n"
            f"Date: Sat, 11 Jan 2025 10:00:00 UTC\nSHA256:\n {'0' * 64} 0 main/binary-amd64/Packages\n"
        )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": system})
    if mirror is None:
        with pytest.raises(UsageError, match="names no package source of Debian"):
            fetching._source()
    else:
        assert fetching._source().split()[-1] == mirror


@pytest.mark.parametrize("line", ["--index-url=x", "-r more.txt", "numpy>="])
@pytest.mark.usefixtures("own_cache")
def test_requirements_that_are_none_never_reach_pip(line: str) -> None:
    with pytest.raises(UsageError, match="pip cannot install"):
        fetching._fetch_wheels((line,), folder() / "wheels")
