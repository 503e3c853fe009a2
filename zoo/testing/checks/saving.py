"""A saved model can be opened without zoo and without the plugin."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings

import numpy as np

from zoo.evaluation.predict import predict_inputs
from zoo.testing.origin import plugin_module
from zoo.testing.result import CheckError
from zoo.testing.subject import Subject

TOLERANCE = 1e-6
_TIMEOUT_S = 600

#: A program in which zoo and the plugin cannot be imported.
_CODE = """
import json, sys

hidden, folder, sys.path[:] = json.loads(sys.stdin.read())


class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named '{name}': it is hidden, as if it were not installed")


sys.meta_path.insert(0, Hide())
import keras, numpy

model = keras.models.load_model(f"{folder}/model.keras")
model.run_eagerly = True  # like the saved model, because a compiled model computes sums in another order
pixels = numpy.load(f"{folder}/pixels.npy")
numpy.save(f"{folder}/answers.npy", keras.ops.convert_to_numpy(model.predict_on_batch(pixels)))
"""


def check_opens_without_the_plugin(subject: Subject) -> str:
    fitted, folder = subject.fitted, subject.folder("saved")
    expected = predict_inputs(fitted.model, fitted.pixels, len(fitted.pixels))
    path = folder / "model.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning of NumPy about arrays of Keras
        fitted.model.save(path)
    np.save(folder / "pixels.npy", fitted.pixels)
    hidden = ["zoo", plugin_module(subject.architecture).partition(".")[0]]
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        input=json.dumps([hidden, str(folder), sys.path]),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise CheckError(
            "keras.models.load_model opens the saved model in a process without zoo and without the plugin",
            _reason(done.stderr),
            "Build from Keras's own layers and operations; no Lambda, no custom class, no custom function.",
        )
    worst = float(np.abs(np.load(folder / "answers.npy") - expected).max())
    if not worst <= TOLERANCE:
        raise CheckError(
            f"the saved and reloaded model gives the same outputs within {TOLERANCE:g}",
            f"a probability differs by {worst:.3g}",
            "A value that affects the outputs is not saved: it is not a weight, or is missing in get_config.",
        )
    return f"{path.stat().st_size / 1e6:.1f} MB; a probability differs by {worst:.1g} at most after reloading"


def _reason(stderr: str) -> str:
    """The message at the end of a traceback. Messages of Keras have several lines."""
    if unknown := re.search(r"Could not locate \w+ '[^']*'", stderr):
        return unknown.group()
    lines = [line.strip() for line in stderr.strip().splitlines() if line.strip()]
    starts = [index for index, line in enumerate(lines) if line.partition(":")[0].endswith(("Error", "Exception"))]
    return " ".join(lines[starts[-1] :] if starts else lines[-1:])[:400] or "the process ended without a message"
