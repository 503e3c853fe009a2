"""Another backend of Keras can train without TensorFlow, and its runs are exported like any other."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PhotoFolder, RunZoo, zoo_environment

WITHOUT_TENSORFLOW = """
import sys


class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError("No module named 'tensorflow': it is hidden, as where it is not installed")


sys.meta_path.insert(0, Hide())
from zoo.cli.main import main

main()
"""


def test_jax_trains_without_tensorflow_and_the_run_is_exported(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, tmp_path: Path
) -> None:
    """The training has two phases: on cached features, and then on images."""
    pytest.importorskip("jax", reason="jax is not installed")
    photos = photo_folder({"red": 12, "blue": 12})
    steps = ["--head-epochs", "2", "--epochs", "2"]
    command = ["train", "tiny_net", "--data", str(photos), "--precision", "float32", *steps]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, *command],
        cwd=tmp_path,
        env=zoo_environment(tmp_path / "site") | {"KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["backend"] == "jax"
    assert "Computing features" in done.stderr
    with (run / "history.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    exported = run_zoo("export", run, "--format", "onnx", env={"KERAS_BACKEND": "jax"})
    assert exported.code == 0, exported.err
    assert "  verified  " in exported.out


@pytest.mark.parametrize(
    ("devices", "accelerated"), [(["cpu:0"], False), (["cpu:0", "gpu:0"], True), (["cuda:0"], True), (["tpu:0"], True)]
)
def test_an_accelerator_is_any_device_except_a_cpu(
    monkeypatch: pytest.MonkeyPatch, devices: list[str], accelerated: bool
) -> None:
    import keras

    from zoo.backend import on_accelerator

    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    assert on_accelerator() is accelerated
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")  # it has no list of devices
    assert not on_accelerator()


@pytest.mark.parametrize(
    ("shape", "devices", "expected"),
    [
        ((224, 224, 3), ["cpu:0"], 8),
        ((64, 64, 3), ["cpu:0"], 32),
        ((2000, 1000, 3), ["cpu:0"], 1),
        ((1280,), ["cpu:0"], 32),
        ((224, 224, 3), ["cpu:0", "gpu:0"], 32),
    ],
)
def test_a_processor_predicts_few_large_images_at_once(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], devices: list[str], expected: int
) -> None:
    import keras

    from zoo.evaluation.predict import batch_size

    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    assert batch_size(shape) == expected
