"""Installed from wheels, without the repository on the path, zoo works completely."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import PhotoFolder
from tests.packaging.conftest import DEPENDENCIES, PROJECTS, REPOSITORY, Installed

SMALLEST = ("--precision", "float32", "--batch-size", "8")


@pytest.fixture
def work(tmp_path: Path, own_cache: Path) -> Path:
    return tmp_path


def test_only_our_names_appear(installed: Installed) -> None:
    names = {path.name for path in installed.site_packages.iterdir()} - {DEPENDENCIES}
    ours = {name for name in names if name == "zoo" or name.startswith("zoo_") or name.endswith(".dist-info")}
    assert names == ours
    assert len([name for name in names if name.endswith(".dist-info")]) == len(PROJECTS)
    scripts = {
        path.name
        for path in (installed.folder / "bin").iterdir()
        if not path.name.lower().startswith(("python", "activate"))
    }
    assert scripts == {"zoo"}


def test_nothing_comes_from_the_repository(installed: Installed, work: Path) -> None:
    code = (
        "import sys, json, zoo, zoo_onnx, zoo_mobilenetv2, zoo_efficientnet_lite, zoo_keras_applications\n"
        "modules = [zoo, zoo_onnx, zoo_mobilenetv2, zoo_efficientnet_lite, zoo_keras_applications]\n"
        "print(json.dumps([[module.__file__ for module in modules], sys.path]))"
    )
    done = installed.run("python", "-c", code, cwd=work)
    assert done.returncode == 0, done.stderr
    files, path = json.loads(done.stdout)
    assert all(Path(file).is_relative_to(installed.site_packages) for file in files)
    assert not any(entry and Path(entry).resolve().is_relative_to(REPOSITORY / "zoo") for entry in path)
    assert str(REPOSITORY) not in path


def test_all_distributions_are_found_and_agree(installed: Installed, work: Path) -> None:
    plugins = installed.run("zoo", "plugin", "list", "--json", cwd=work)
    assert (plugins.returncode, plugins.stderr) == (0, "")
    rows = json.loads(plugins.stdout)
    assert len({row["distribution"] for row in rows}) == len(PROJECTS)
    assert {row["status"] for row in rows} == {"ok"}
    listed = json.loads(installed.run("zoo", "list", "--json", cwd=work).stdout)
    names = [row["name"] for row in listed["architectures"]]
    assert len(names) == len(set(names)) >= 30


@pytest.mark.long
def test_trains_exports_and_verifies(installed: Installed, work: Path) -> None:
    run = train(installed, ["simple_cnn", "--epochs", "1"], work)
    exported = installed.run("zoo", "export", str(run), "--format", "onnx", "--format", "tflite", cwd=work)
    assert exported.returncode == 0, exported.stderr
    for name in ("onnx", "tflite"):
        bundle = run / "exports" / f"simple_cnn-{name}-float32"
        assert json.loads((bundle / "verify.json").read_text())["passed"]
        selftest = installed.run("python", str(bundle / "run.py"), "--selftest", cwd=work)
        assert selftest.returncode == 0, selftest.stdout + selftest.stderr
    verified = installed.run("zoo", "verify", str(bundle / "simple_cnn.tflite"), "--against", str(run), cwd=work)
    assert verified.returncode == 0, verified.stderr


@pytest.mark.long
def test_trains_with_the_weights_that_a_plugin_brings(
    installed: Installed, work: Path, photo_folder: PhotoFolder
) -> None:
    photos = photo_folder({"rugby": 10, "soccer": 10})
    train(installed, ["efficientnet_lite0", "--data", str(photos), "--size", "32", "--head-epochs", "2"], work)


@pytest.mark.long
def test_builds_what_a_plugin_makes_of_keras(installed: Installed, work: Path) -> None:
    done = installed.run("zoo", "plugin", "check", "mobilenet_v3_small", "--check", "builds", cwd=work)
    assert done.returncode == 0, done.stdout + done.stderr


def train(installed: Installed, arguments: list[str], work: Path) -> Path:
    """The run that ``zoo train`` creates with these arguments."""
    untracked = {"ZOO_DISABLE_PLUGINS": "zoo-mlflow"}  # it would log the run to this folder
    trained = installed.run("zoo", "train", *arguments, *SMALLEST, cwd=work, env=untracked)
    assert trained.returncode == 0, trained.stderr
    (run,) = (work / "runs").iterdir()
    assert json.loads((run / "metrics.json").read_text())
    assert (run / "report.html").stat().st_size > 10_000
    return run
