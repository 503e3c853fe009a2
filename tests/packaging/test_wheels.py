"""The content of wheels and sdists: only our packages, and all of their files in the repository."""

from __future__ import annotations

import ast
import re
import sys
import tarfile
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.packaging.conftest import PROJECTS, Built

#: Folders of the packages in each project.
SOURCE_ROOTS = {".": (".", "plugins", "exports")}

#: Needed by those alone who test a plugin of theirs (``zoo.testing.parametrize_with_checks``), and used where it is
#: installed (``Run.predictions``) or Keras runs on it (gradients for ``zoo explain``).
OPTIONAL = {"pytest", "pandas", "jax", "torch"}
#: Modules of distributions that may be missing in the environment of the tests.
ELSEWHERE = {"mlflow": ["mlflow-skinny"]}
#: Requirements in the metadata of a wheel, including extras for users, because zoo imports them if they are installed.
DEPENDENCY = r"^Requires-Dist: ([\w.-]+)(?!.*extra == .(?:test|dev|docs))"


def package_files(project: str, source: Path) -> dict[str, Path]:
    """For every file in the packages of a project, its name in a wheel and its path."""
    roots = [source / root for root in SOURCE_ROOTS.get(project, (project,))]
    packages = [
        path for root in roots for path in root.iterdir() if path.name.isidentifier() and path.name.startswith("zoo")
    ]
    files = {path: package for package in packages for path in package.rglob("*") if path.is_file()}
    return {path.relative_to(package.parent).as_posix(): path for path, package in files.items()}


@pytest.mark.parametrize("project", PROJECTS)
def test_a_wheel_holds_all_files_of_its_packages_and_nothing_else(project: str, built: dict[str, Built]) -> None:
    expected = package_files(project, built[project].source)
    assert len(expected) >= 3
    with zipfile.ZipFile(built[project].wheel) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist() if ".dist-info/" not in name}
    assert sorted(held) == sorted(expected)
    assert [name for name, path in expected.items() if path.read_bytes() != held[name]] == []
    packages = {name.split("/")[0] for name in held}
    assert all(f"{package}/py.typed" in held for package in packages)


@pytest.mark.parametrize("project", PROJECTS)
def test_the_sdist_makes_the_same_wheel(project: str, built: dict[str, Built]) -> None:
    with zipfile.ZipFile(built[project].wheel) as wheel, zipfile.ZipFile(built[project].again) as again:
        assert sorted(wheel.namelist()) == sorted(again.namelist())
        for name in wheel.namelist():
            assert wheel.read(name) == again.read(name), name


@pytest.mark.parametrize("project", PROJECTS)
def test_an_sdist_holds_all_files_of_its_project(project: str, built: dict[str, Built]) -> None:
    """Including tests, documentation and benchmarks, so that packagers can run and build everything."""
    root = built[project].source / project
    others = [built[other].source / other for other in PROJECTS if other not in (".", project)]
    mine = {path for path in root.rglob("*") if path.is_file() and not any(map(path.is_relative_to, others))}
    # The build leaves these in the copy of the repository.
    expected = {path for path in mine if not {"build", "__pycache__"} & {*path.relative_to(root).parts}}
    expected = {path for path in expected if not any(part.endswith(".egg-info") for part in path.parts)}
    with tarfile.open(built[project].sdist) as archive:
        held = {member.name.partition("/")[2]: member.size for member in archive.getmembers() if member.isfile()}
    missing = sorted(str(path.relative_to(root)) for path in expected if path.relative_to(root).as_posix() not in held)
    assert not missing
    made = {"PKG-INFO", "setup.cfg"}
    extra = {name for name in held if name not in made and ".egg-info/" not in name and not (root / name).is_file()}
    assert not extra
    assert sum(held.values()) < 60_000_000
    if project == ".":
        assert {"docs/tutorial.md", "mkdocs.yml", "CITATION.cff", "SECURITY.md", "tests/conftest.py"} <= set(held)


@pytest.mark.parametrize("project", PROJECTS)
def test_licence_and_readme_travel(project: str, built: dict[str, Built]) -> None:
    with zipfile.ZipFile(built[project].wheel) as wheel:
        (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        text = wheel.read(metadata).decode()
        licences = {Path(name).name for name in wheel.namelist() if ".dist-info/licenses/" in name}
    assert {"LICENSE", "NOTICE"} <= licences
    assert "License-Expression: Apache-2.0" in text
    assert (built[project].source / project / "README.md").read_text().splitlines()[0] in text
    if project != ".":
        assert re.search(r"^Requires-Dist: keras-edge-zoo>=\d", text, re.MULTILINE)


@pytest.mark.parametrize("project", PROJECTS)
def test_everything_imported_is_a_declared_dependency(project: str, built: dict[str, Built]) -> None:
    with zipfile.ZipFile(built[project].wheel) as wheel:
        (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        required = re.findall(DEPENDENCY, wheel.read(metadata).decode(), re.MULTILINE)
        sources = {name: wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".py")}
    declared = {name.lower().replace("_", "-") for name in required} | {"keras-edge-zoo"}
    providers = packages_distributions()
    undeclared = []
    for name, source in sources.items():
        for top in imported(source) - sys.stdlib_module_names - OPTIONAL:
            if top == "zoo" or top.startswith("zoo_"):
                continue
            owners = {owner.lower().replace("_", "-") for owner in providers.get(top) or ELSEWHERE.get(top, [])}
            if not owners & declared:
                undeclared.append(f"{name} imports {top}, of {', '.join(sorted(owners)) or 'nobody here'}")
    assert undeclared == []


def imported(source: str) -> set[str]:
    tops = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            tops |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            tops.add(node.module.split(".")[0])
    return tops
