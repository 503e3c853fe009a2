"""A batch that is divided among devices trains the same model. In these tests, JAX divides the CPU into devices."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import FakePlugin, PhotoFolder, RunZoo, Zoo
from tests.training.test_transfer import weights
from zoo.errors import UsageError
from zoo.run_folder import open_run
from zoo.training.devices import share_batches
from zoo.workflows.host import host_kept

KILLER = """
import os, signal
from zoo import hookimpl


@hookimpl
def zoo_callbacks():
    import keras

    class Killer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2 and "KILL" in os.environ:
                os.kill(os.getpid(), signal.SIGKILL)

    return [Killer()]
"""


@pytest.mark.long
def test_devices_that_share_batches_give_the_weights_of_one_also_after_a_resume_on_another_number(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo, fake_plugin: FakePlugin, tmp_path: Path
) -> None:
    """A network with BatchNorm, trained on features, then in all layers. The last batch cannot be divided."""
    pytest.importorskip("jax", reason="jax is not installed")
    fake_plugin("zoo-killer", KILLER)
    photos = photo_folder({"a": 22, "b": 22, "c": 23})
    jax = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [
        "train",
        "tiny_net",
        "--data",
        photos,
        "--head-epochs",
        "1",
        "--epochs",
        "3",
        "--early-stopping-epochs",
        "0",
    ]
    one = run_zoo(*command, "--runs", "one", env=jax)
    assert one.code == 0, one.err
    killed = run_zoo(*command, "--runs", "four", "--devices", "all", env=jax | {"KILL": "1"})
    assert killed.code == -signal.SIGKILL, killed.err
    assert "Every batch of 16 images is divided among 4 device(s)" in killed.err
    (whole,), (resumed,) = ((tmp_path / name).iterdir() for name in ("one", "four"))
    assert len(open_run(resumed).history["loss"]) == 2
    done = run_zoo("train", "--resume", resumed, "--devices", "2", env=jax)
    assert done.code == 0, done.err
    counts = open_run(whole).info.data.counts["train"]
    assert sum(counts.values()) % 2 == 1
    expected, found = weights(whole), weights(resumed)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-5, err_msg=name)
    losses = [open_run(run).history[column] for run in (whole, resumed) for column in ("loss", "val_loss")]
    np.testing.assert_allclose(losses[:2], losses[2:], rtol=1e-5)


@pytest.fixture
def four_on_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    monkeypatch.setattr("zoo.training.devices.available", lambda: ["gpu:0", "gpu:1", "gpu:2", "gpu:3", "cpu:0"])


@pytest.mark.parametrize(
    ("devices", "batch_size", "told", "mend"),
    [
        (5, 40, "--devices 5 is not possible: JAX has 4 device\\(s\\), gpu:0", "from 1 to 4, or all"),
        (0, 32, "--devices 0 is not possible", "from 1 to 4"),
        ("many", 32, "--devices many is not possible", "or all"),
        (1.5, 32, r"--devices 1\.5 is not possible", "or all"),
        (3, 32, "A batch of 32 images cannot be divided among 3 devices", "such as 33"),
        ("all", 30, "A batch of 30 images cannot be divided among 4 devices", "such as 32"),
    ],
)
def test_numbers_that_are_not_possible(
    four_on_jax: None, devices: int | str, batch_size: int, told: str, mend: str
) -> None:
    with pytest.raises(UsageError, match=told) as error:
        share_batches(devices, batch_size)
    assert mend in str(error.value.hint)


def test_one_device_needs_no_distribution(four_on_jax: None) -> None:
    import keras

    assert share_batches(1, 7) == 1
    assert keras.distribution.distribution() is None


def test_another_backend_is_told_before_photos_are_read(zoo: Zoo, photo_folder: PhotoFolder) -> None:
    photos = photo_folder({"a": 3, "b": 3})
    done = zoo("train", "simple_cnn", "--data", photos, "--devices", "2")
    assert done.code == 2
    assert "--devices 2 needs Keras on JAX; the backend is tensorflow." in done.err
    assert "Reading" not in done.err
    assert zoo("train", "--devices", "many").code == 2


def test_the_devices_of_the_host_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    kept: list[object] = ["theirs"]
    monkeypatch.setattr(keras.distribution, "distribution", lambda: kept[-1])
    monkeypatch.setattr(keras.distribution, "set_distribution", kept.append)
    with host_kept():
        keras.distribution.set_distribution("ours")
    assert kept == ["theirs", "ours", "theirs"]
