"""ImageNet weights are loaded from a folder, refused if damaged, and requested from the user if missing."""

import os
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from zoo import PluginError, UsageError
from zoo.testing.fitted import settle_batch_norm

from zoo_keras_applications import architecture, weights
from zoo_keras_applications.applications import APPLICATIONS

BY_NAME = {application.name: application for application in APPLICATIONS}
#: The architecture for which Keras has no checksum, so that a file that is created here is accepted.
MOBILENET = BY_NAME["mobilenet_v1"]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """``(folder, model)``: the file of MobileNet in the layout that Keras publishes, and the network it was made from."""
    folder = tmp_path_factory.mktemp("weights")
    model = keras.applications.MobileNet(weights=None)
    noise = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3)).astype("float32")
    settle_batch_norm(model, noise / 127.5 - 1)
    with h5py.File(folder / MOBILENET.file, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return folder, model


def loaded(application, classes, with_head, side=224):
    model = architecture(application).build((side, side, 3), classes)
    (imagenet,) = architecture(application).weights
    imagenet.load(model, with_head)
    return model


def test_a_folder_gives_the_network_that_was_published(published, monkeypatch):
    folder, theirs = published
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(folder))
    pixels = np.random.default_rng(1).integers(0, 256, (2, 224, 224, 3)).astype("float32")
    expected = theirs.predict(pixels / 127.5 - 1, verbose=0)
    assert np.ptp(expected, axis=0).max() > 1e-4
    np.testing.assert_allclose(loaded(MOBILENET, 1000, True).predict(pixels, verbose=0), expected, atol=1e-6)


def test_another_number_of_classes_and_size_takes_the_backbone_alone(published, monkeypatch):
    folder, theirs = published
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(folder))
    with pytest.raises(UsageError, match="are for 1000 classes. Received: 7"):
        loaded(MOBILENET, 7, True)
    model = architecture(MOBILENET).build((96, 64, 3), 7)
    head = model.get_layer("probabilities").get_weights()
    architecture(MOBILENET).weights[0].load(model, False)
    np.testing.assert_array_equal(model.get_layer("conv1").get_weights(), theirs.get_layer("conv1").get_weights())
    for before, after in zip(head, model.get_layer("probabilities").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_another_file_of_that_name_is_refused_with_both_checksums(tmp_path, monkeypatch):
    application = BY_NAME["mobilenet_v3_small"]
    (tmp_path / application.file).write_bytes(b"not what Keras publishes")
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(PluginError, match=rf"expected md5 {application.checksum}, actual [0-9a-f]{{32}} \(24 bytes\)"):
        loaded(application, 2, False, side=32)


def test_a_file_that_holds_no_weights_is_refused(tmp_path, monkeypatch):
    (tmp_path / MOBILENET.file).write_bytes(b"no HDF5")
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(PluginError, match=f"Could not read the weights .*{MOBILENET.file} of mobilenet_v1"):
        loaded(MOBILENET, 2, False, side=32)


def test_a_folder_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="which is not a folder"):
        loaded(MOBILENET, 2, False, side=32)


def test_without_network_and_folder_the_command_says_which_file_and_where(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    closed = "http://127.0.0.1:9"  # nothing listens there, so this test has no network
    environment |= {"KERAS_HOME": str(tmp_path / "keras"), "https_proxy": closed, "http_proxy": closed}
    environment.pop(weights.FOLDER_VARIABLE, None)
    (tmp_path / "keras").mkdir()
    arguments = ["train", "mobilenet_v3_small", "--weights", "imagenet", "--size", "32", "--head-epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", "from zoo.cli.main import main; main()", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    application = BY_NAME["mobilenet_v3_small"]
    for told in (application.file, str(tmp_path / "keras" / "models"), weights.FOLDER_VARIABLE, "--weights none"):
        assert told in done.stderr
