"""Every architecture that is included in zoo, in every format and precision, on real photographs.

The expected values are the predictions of Keras in another process, which can import neither zoo nor the architecture's
package. It loads ``model.keras`` and writes its predictions.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import run_command, zoo_environment
from tests.shape_operators import shape_operators
from tests.tflite_files import fully_delegated
from zoo.data import TEST, ImageData
from zoo.evaluation.trained import TrainedModel, of_run
from zoo.interfaces import PRECISIONS
from zoo.parity import Gates, default_gates, verification_images, verify
from zoo.registry import architectures, exporters
from zoo.run_folder import open_run
from zoo.testing.origin import plugin_module

pytestmark = pytest.mark.long  # training and exporting takes one or two minutes for each architecture

#: Photos of each of the two classes.
TRAINING, TESTING = 24, 50
#: The architectures of other distributions are exported by the conformance tests of these distributions.
OFFERS = [offer for offer in architectures() if offer.distribution == "keras-edge-zoo"]
ARCHITECTURES = [offer.record.name for offer in OFFERS]
FORMATS = [offer.record for offer in exporters() if not offer.record.variant_of]
FILES = [(record.name, precision) for record in FORMATS for precision in record.precisions]

ASK_KERAS = """
import sys
for name in [*sys.argv[4:], "zoo"]:
    sys.modules[name] = None  # as where it is not installed
import keras, numpy
model = keras.models.load_model(sys.argv[1], compile=False)
pixels = numpy.load(sys.argv[2]).astype("float32")
numpy.save(sys.argv[3], numpy.concatenate([model(pixels[start:start + 25]) for start in range(0, len(pixels), 25)]))
"""


@dataclass(frozen=True)
class Subject:
    """A trained model, photos not used for training, Keras's predictions, and the folder of exported files."""

    trained: TrainedModel
    data: ImageData
    expected: np.ndarray
    folder: Path


@pytest.fixture(scope="module")
def photos(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for split, count in (("train", TRAINING), ("test", TESTING)):
        for label in ("rugby", "soccer"):
            (root / split / label).mkdir(parents=True)
            for photo in sorted((shared_data / "rugby_soccer" / split / label).iterdir())[:count]:
                shutil.copy(photo, root / split / label)
    return root


@pytest.fixture(scope="module", params=ARCHITECTURES)
def subject(request: pytest.FixtureRequest, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    architecture = architectures().get(request.param)
    work = tmp_path_factory.mktemp(request.param)
    # A few epochs of the head, or of all layers, whose epochs take longer.
    if architecture.backbone:
        size, epochs = "96", ("--head-epochs", "20", "--epochs", "0")
    else:
        size, epochs = "64", ("--epochs", "9", "--min-steps", "0")
    _zoo(work, "train", request.param, "--data", photos, "--size", size, "--precision", "float32", *epochs)
    (path,) = (work / "runs").iterdir()
    every = [part for precision in PRECISIONS for part in ("--precision", precision)]
    _zoo(work, "export", path, "--out", work / "exports", "--no-verify", *every)
    trained = of_run(open_run(path))
    data, split = verification_images(trained)
    assert split == TEST
    assert len(data.names) == 2 * TESTING
    np.save(work / "pixels.npy", data.pixels.read(data.indices(split)))
    files = [path / "model.keras", work / "pixels.npy", work / "expected.npy"]
    command = [sys.executable, "-c", ASK_KERAS, *files, plugin_module(architecture)]
    subprocess.run(command, check=True, capture_output=True)
    return Subject(trained, data, np.load(work / "expected.npy"), work / "exports")


def _zoo(work: Path, *arguments: str | Path) -> None:
    run_command(*arguments, cwd=work, environment=zoo_environment(work), check=True)


@pytest.mark.parametrize(("name", "precision"), FILES, ids=["-".join(pair) for pair in FILES])
def test_other_runtimes_agree_with_keras_on_photographs(subject: Subject, name: str, precision: str) -> None:
    exporter, path = exporters().get(name), _file(subject, name, precision)
    # Pictures of 96 px, forty to calibrate on and a test photo a percent: more flips than of a model made in earnest.
    gates = Gates(min_agreement=0.95, max_accuracy_drop=0.03) if precision == "int8" else default_gates(precision)
    found = verify(exporter, path, subject.trained, subject.data, TEST, gates, expected=subject.expected)
    assert found.failures == ()
    assert found.n == 2 * TESTING
    assert found.values is not None
    assert found.values.difference is not None
    assert found.values.difference.max > 0  # another program computed them
    assert found.metadata is not None
    assert not found.metadata.verified


def test_opencv_agrees_with_keras_on_photographs(subject: Subject) -> None:
    """OpenCV is an implementation of ONNX that shares no code with ONNX Runtime."""
    net = cv2.dnn.readNetFromONNX(str(_file(subject, "onnx", "float32")))
    net.setInput(subject.data.pixels.read(subject.data.indices(TEST)).astype(np.float32), "image")
    np.testing.assert_allclose(net.forward(), subject.expected, rtol=0, atol=1e-4)


def test_opencv_reads_the_tflite_file_and_predicts_like_keras_elsewhere(subject: Subject) -> None:
    """For a TFLite file, OpenCV 5 takes pixels with channels first, one image at a time."""
    net = cv2.dnn.readNetFromTFLite(str(_file(subject, "tflite", "float32")))
    images = subject.data.pixels.read(subject.data.indices(TEST))[::10]
    for pixels, expected in zip(images, subject.expected[::10], strict=True):
        net.setInput(cv2.dnn.blobFromImage(pixels))
        np.testing.assert_allclose(net.forward()[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "precision"), FILES, ids=["-".join(pair) for pair in FILES])
def test_no_shape_is_computed_when_the_file_runs(subject: Subject, name: str, precision: str) -> None:
    assert shape_operators(_file(subject, name, precision)) == set()


def test_xnnpack_runs_the_whole_float32_file(subject: Subject) -> None:
    assert fully_delegated(_file(subject, "tflite", "float32"))


def _file(subject: Subject, name: str, precision: str) -> Path:
    architecture = subject.trained.architecture
    return subject.folder / f"{architecture}-{name}-{precision}" / f"{architecture}{exporters().get(name).suffix}"


def test_predictions_of_different_photos_differ(subject: Subject) -> None:
    """If all predictions were the same, they could agree although the file is wrong."""
    assert set(subject.expected.argmax(axis=1)) == {0, 1}
    assert np.ptp(subject.expected[:, 0]) > 0.2
