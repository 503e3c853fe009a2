"""``zoo plugin new``: the created plugin can be installed, is listed, and passes its own tests without changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import FakePlugin, RunZoo, Zoo
from zoo.registry import plugin_manager
from zoo.testing import check_names

LICENCES = {"apache-2.0": "Apache License", "mit": "MIT License", "bsd-3-clause": "BSD 3-Clause License"}


def pip_install(distribution: Path, site: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(distribution)]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.long
def test_it_installs_is_listed_and_passes_its_own_tests(tmp_path: Path, site: Path, run_zoo: RunZoo) -> None:
    made = run_zoo("plugin", "new", "tiny_net")
    assert made.code == 0, made.err
    folder = tmp_path / "zoo-tiny-net"
    assert "pip install -e zoo-tiny-net" in made.out
    pip_install(folder, site)
    listed = run_zoo("list")
    (line,) = (line for line in listed.out.splitlines() if "tiny_net" in line)
    assert line.endswith("zoo-tiny-net")
    assert "zoo-tiny-net" not in listed.err
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "test_conformance[tiny_net-backbone]" in done.stdout
    assert "failed" not in done.stdout.splitlines()[-1]
    assert "warning" not in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("licence", LICENCES)
def test_the_licence_is_whole_and_named(licence: str, tmp_path: Path, run_zoo: RunZoo) -> None:
    done = run_zoo("plugin", "new", "tiny", "--licence", licence, "--out", tmp_path / "here")
    assert done.code == 0, done.err
    folder = tmp_path / "here"
    text = (folder / "LICENSE").read_text()
    assert text.split("\n", 3)[0 if text[0] != "\n" else 1].strip() == LICENCES[licence]
    assert len(text) > 1000
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["license"].lower() == licence
    assert set(project["license-files"]) == {
        path.name for path in folder.iterdir() if path.suffix == "" and path.is_file()
    }
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "LICENSE":
            assert "$" not in path.read_text()
            assert "TODO" not in path.read_text()


OTHERS = ("exporter", "dataset", "callbacks")


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_pass_their_checks_as_they_are(
    kind: str, zoo: Zoo, tmp_path: Path, site: Path, fake_plugin: FakePlugin, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"tiny_{kind}"
    made = zoo("plugin", "new", name, "--kind", kind)
    assert made.code == 0, made.err
    folder = tmp_path / f"zoo-tiny-{kind}"
    fake_plugin(folder.name, None)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.syspath_prepend(site)
    plugin_manager.cache_clear()
    try:
        (command,) = (line.strip() for line in made.out.splitlines() if "plugin check" in line)
        done = zoo(*command.split()[1:], "--json")
    finally:
        plugin_manager.cache_clear()
    assert done.code == 0, done.out
    statuses = {check["status"] for check in json.loads(done.out)["checks"]}
    assert statuses == {"passed"}
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    collected = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert collected.returncode == 0, collected.stdout
    assert f"{len(check_names(kind))} tests collected" in collected.stdout


@pytest.mark.parametrize("kind", ["architecture", *OTHERS])
def test_what_it_writes_is_well_formed(kind: str, tmp_path: Path, zoo: Zoo) -> None:
    zoo("plugin", "new", "tiny", "--kind", kind)
    for arguments in (["check", "--select", "E,F,I,UP,B"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", "--line-length", "120", "."]
        done = subprocess.run(command, cwd=tmp_path / "zoo-tiny", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Tiny-ResNet", "'Tiny-ResNet' is not a valid name of an architecture. Did you mean 'tiny_resnet'?"),
        ("zoo-tiny", "Did you mean 'tiny'?"),
        ("tiny_", "Did you mean 'tiny'?"),  # zoo-tiny- is not a valid name of a distribution
        ("3d_net", "Did you mean 'd_net'?"),
        ("é", "'é' is not a valid name"),
        ("digits --kind dataset", "A dataset 'digits' already exists, in keras-edge-zoo."),
        ("Tiny! --kind exporter", "'Tiny!' is not a valid name of an exporter. Did you mean 'tiny'?"),
        ("simple_cnn", "An architecture 'simple_cnn' already exists, in keras-edge-zoo."),
        ("onnx", "A package 'zoo_onnx' already exists."),
    ],
)
def test_names_that_will_not_do(name: str, told: str, tmp_path: Path, run_zoo: RunZoo) -> None:
    before = sorted(tmp_path.iterdir())
    done = run_zoo("plugin", "new", *name.split())
    assert done.code == 2
    assert told in done.err
    assert sorted(tmp_path.iterdir()) == before


def test_an_installed_plugin_keeps_its_name(run_zoo: RunZoo, fake_plugin: FakePlugin) -> None:
    code = (
        "from zoo import Architecture, hookimpl\n"
        "@hookimpl\n"
        "def zoo_architectures():\n"
        "    return [Architecture(name='taken', summary='x', build=lambda input_shape, num_classes: None)]\n"
    )
    fake_plugin("zoo-owner", code)
    done = run_zoo("plugin", "new", "taken")
    assert done.code == 2
    assert "An architecture 'taken' already exists, in zoo-owner." in done.err


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path, run_zoo: RunZoo) -> None:
    folder = tmp_path / "zoo-tiny"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    done = run_zoo("plugin", "new", "tiny")
    assert done.code == 2
    assert "'zoo-tiny' is not empty; nothing was written." in done.err
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    (folder / "mine.txt").unlink()
    assert run_zoo("plugin", "new", "tiny").code == 0  # an empty folder is accepted


def test_the_folder_that_the_user_is_in(tmp_path: Path, run_zoo: RunZoo) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    done = run_zoo("plugin", "new", "tiny", "--out", ".", cwd=folder)
    assert done.code == 0, done.err
    assert {"pyproject.toml", "zoo_tiny", "tests"} <= {path.name for path in folder.iterdir()}
    assert [path.name for path in tmp_path.iterdir() if "tiny" in path.name or path.name.startswith(".")] == []


def test_a_file_in_the_way(tmp_path: Path, run_zoo: RunZoo) -> None:
    (tmp_path / "here").write_text("mine")
    assert "'here' is a file" in run_zoo("plugin", "new", "tiny", "--out", "here").err
    done = run_zoo("plugin", "new", "tiny", "--out", "here/below")
    assert done.code == 2
    assert "Could not write" in done.err
    assert "Traceback" not in done.err
