"""Bundles that the command exports, and their runner in a process without zoo, Keras and TensorFlow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result
from zoo.edge.bundle import fingerprint, seal

FORMATS = ("onnx", "tflite")

#: Packages that a device does not have. Those in `sys.argv[1]`, separated by commas, cannot be imported either.
ALONE = """
import runpy, sys

absent = {"zoo", "zoo_onnx", "zoo_tflite", "keras", "tensorflow", "pluggy", "click", "sklearn", "onnx", "scipy"}
absent |= set(filter(None, sys.argv.pop(1).split(",")))

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""

RunBundle = Callable[..., Result]


@pytest.fixture(params=FORMATS)
def bundle(digits_exports: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a bundle, of each format in turn."""
    return Path(shutil.copytree(digits_exports / f"simple_cnn-{request.param}-float32", tmp_path / "bundle"))


@pytest.fixture
def onnx_bundle(digits_exports: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits_exports / "simple_cnn-onnx-float32", tmp_path / "bundle"))


@pytest.fixture
def run_bundle(tmp_path: Path) -> RunBundle:
    """``run_bundle(bundle, "photo.jpg", stdin=b"", absent="onnxruntime")`` runs ``run.py`` without zoo."""

    def run(bundle: Path, *arguments: str | Path, stdin: bytes = b"", absent: str = "") -> Result:
        done = subprocess.run(
            runner_command(bundle, *arguments, absent=absent),
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def runner_command(bundle: Path, *arguments: str | Path, absent: str = "") -> list[str]:
    return [sys.executable, "-I", "-c", ALONE, absent, str(bundle / "run.py"), *map(str, arguments)]


def reseal(bundle: Path) -> None:
    """Updates the digests, as if the bundle had been exported with its present files."""
    path = bundle / "spec.json"
    values = json.loads(path.read_bytes())
    values["files"] = {name: fingerprint(bundle / name) for name in values["files"]}
    path.write_text(json.dumps(seal(values)))
