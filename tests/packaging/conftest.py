"""All distributions of the repository, which are built from a copy of it and installed to a new environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECTS = [
    ".",
    *sorted(str(path.parent.relative_to(REPOSITORY)) for path in REPOSITORY.glob("plugins/*/pyproject.toml")),
]


@dataclass(frozen=True)
class Built:
    """The build results of one project.

    Args:
        source: Copy of the whole repository from which it was built.
        sdist: Built from the repository.
        wheel: Built from the repository.
        again: The wheel that was built from the unpacked sdist.
    """

    source: Path
    sdist: Path
    wheel: Path
    again: Path


@dataclass(frozen=True)
class Installed:
    """A virtual environment with our wheels and, after them on the path, the dependencies of this environment."""

    folder: Path

    @property
    def site_packages(self) -> Path:
        (folder,) = (self.folder / "lib").glob("python*/site-packages")
        return folder

    def run(
        self, program: str, *arguments: str, cwd: Path, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment, without the repository on its path."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_"))}
        return subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            cwd=cwd,
            env=environment | {"COLUMNS": "100"} | (env or {}),
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )


def files_of_the_repository() -> list[str]:
    """The files that git tracks or would add, as they are in the working tree."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode()
    return sorted({name for name in listed.split("\0") if name and (REPOSITORY / name).is_file()})


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """The builds by project. Nothing is downloaded, and nothing is written to the repository."""
    pytest.importorskip("setuptools", minversion="77", reason="needs the setuptools that the projects build with")
    if not (REPOSITORY / ".git").exists():
        pytest.skip("needs the repository: git says which files it has")
    root = tmp_path_factory.mktemp("built")
    source = root / "source"
    for name in files_of_the_repository():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, source / name)
    made = {}
    for number, project in enumerate(PROJECTS):
        sdist = build("sdist", source / project, root / f"sdist-{number}")
        with tarfile.open(sdist) as archive:
            archive.extractall(root / f"unpacked-{number}", filter="data")
        (unpacked,) = (root / f"unpacked-{number}").iterdir()
        made[project] = Built(
            source,
            sdist,
            wheel=build("wheel", source / project, root / f"wheel-{number}"),
            again=build("wheel", unpacked, root / f"again-{number}"),
        )
    return made


def build(kind: str, project: Path, out: Path) -> Path:
    out.mkdir()
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = out.iterdir()
    return file


@pytest.fixture(scope="session")
def installed(built: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    environment = Installed(folder)
    wheels = [str(each.wheel) for each in built.values()]
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-deps", "--no-index", "--disable-pip-version-check", *wheels],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A line of a .pth file adds a folder, but not the .pth files in it, so editable installs are not included.
    dependencies = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (environment.site_packages / DEPENDENCIES).write_text("".join(f"{each}\n" for each in dependencies))
    return environment


#: The only file that the fixture adds.
DEPENDENCIES = "dependencies_of_the_tests.pth"
