"""The runtime of a format works without TensorFlow on this machine, and without zoo on the device."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from zoo.records import read_json
from zoo.testing.exporter import ExporterSubject
from zoo.testing.origin import plugin_module
from zoo.testing.result import CheckError, NothingToCheckError

_TIMEOUT_S = 120

#: Packages that a program for prediction must not import.
FRAMEWORKS = ("keras", "tensorflow", "jax", "torch")

_HERE = """
import json, sys

module, name, folder, model, frameworks, sys.path[:] = json.loads(sys.stdin.read())
import importlib, pathlib

plugin = importlib.import_module(module)
exporter = next(record for record in plugin.zoo_exporters() if record.name == name)
path = pathlib.Path(folder, model)
exporter.write_metadata(path, exporter.read_metadata(path))
import numpy

numpy.save(f"{folder}/here.npy", exporter.load(path, 1).predict(numpy.load(f"{folder}/pixels.npy")))
print(json.dumps([name for name in frameworks if name in sys.modules]))
"""

_DEVICE = """
import json, sys

hidden, folder, model, sys.path[:] = json.loads(sys.stdin.read())


class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named '{name}': it is hidden, as on a device")


sys.meta_path.insert(0, Hide())
sys.path.insert(0, folder)
import zoo_device_runtime as runtime, numpy

loaded = runtime.load(f"{folder}/{model}", 1)
numpy.save(f"{folder}/device.npy", loaded.predict(numpy.load(f"{folder}/pixels.npy")))
try:
    runtime.load(f"{folder}/none{model}", 1)
    told = "no error"
except ValueError as error:
    told = ""
except Exception as error:
    told = f"{type(error).__name__}: {error}"
print(json.dumps([told, [loaded.inputs[0].name, loaded.outputs[0].name]]))
"""


def check_runtime_isolation(subject: ExporterSubject) -> str:
    module = plugin_module(subject.exporter)
    plugin = find_spec(module)
    path = _ready(subject, "here")
    if plugin is None or not plugin.origin or "def zoo_exporters" not in Path(plugin.origin).read_text("utf-8"):
        raise NothingToCheckError(f"{module} has no hook zoo_exporters, which a fresh process could call")
    told = _run(_HERE, [module, subject.exporter.name, str(path.parent), path.name, FRAMEWORKS, sys.path])
    if told:
        raise CheckError(
            "reading metadata, writing it and predicting load no framework in a fresh process",
            ", ".join(told),
            "Import the packages for conversion inside `convert`, not in the module that loads files.",
        )
    _same(subject, path, "here.npy", "the same predictions in a fresh process")
    return f"none of {', '.join(FRAMEWORKS)}"


def check_runtime_on_device(subject: ExporterSubject) -> str:
    module = subject.exporter.runtime_module
    if not module:
        raise NothingToCheckError("the exporter names no runtime module; its bundles come without a runner")
    path = _ready(subject, "device")
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    (path.parent / "zoo_device_runtime.py").write_bytes(Path(spec.origin).read_bytes())
    hidden = ["zoo", module.partition(".")[0], *FRAMEWORKS]
    told, names = _run(_DEVICE, [hidden, str(path.parent), path.name, sys.path])
    if told:
        raise CheckError(
            "load of the runtime module raises ValueError if the file does not exist",
            told,
            "Catch this error, and raise ValueError.",
        )
    if names != ["image", "probabilities"]:
        raise CheckError(
            "the runtime names the tensors 'image' and 'probabilities'",
            ", ".join(names),
            "Return the names that the file contains.",
        )
    _same(subject, path, "device.npy", f"{module} alone, without zoo and frameworks, predicts the same")
    return f"{module} does not import zoo"


def _ready(subject: ExporterSubject, name: str) -> Path:
    precision = subject.exporter.precisions[-1]
    path = subject.copy(precision, name)
    subject.exporter.write_metadata(path, subject.metadata(precision))
    np.save(path.parent / "pixels.npy", subject.pixels(3))
    return path


def _same(subject: ExporterSubject, path: Path, name: str, expected: str) -> None:
    here = subject.exporter.load(path, 1).predict(subject.pixels(3))
    found = np.load(path.parent / name)
    if found.shape != here.shape or not np.allclose(found, here, rtol=0, atol=1e-6):
        raise CheckError(expected, "other predictions", "Does it read something that is not in the file?")


def _run(code: str, given: Any) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise CheckError("loading and predicting work in a fresh process", last[0][:400], "Try it by hand.")
    return read_json(done.stdout.splitlines()[-1])
