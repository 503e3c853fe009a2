"""The table of architectures, and the records that zoo gets."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points

import keras
import pytest
from zoo.registry import architectures

import zoo_keras_applications
from zoo_keras_applications import weights
from zoo_keras_applications.applications import APPLICATIONS

ALL = bool(os.environ.get("ZOO_TEST_ALL_APPLICATIONS"))

#: Networks that are built quickly, one for each way in which Keras stores names and checksums.
SMALL = ("mobilenet_v1", "mobilenet_v3_small", "efficientnetv2_b0")


def test_the_entry_point_names_the_module():
    ours = [entry for entry in entry_points(group="zoo") if entry.value == "zoo_keras_applications"]
    if not ours:
        pytest.skip("the distribution is not installed, only on the path")
    assert ours[0].load() is zoo_keras_applications


def test_importing_the_plugin_and_getting_its_records_loads_no_framework():
    script = (
        "import sys, zoo_keras_applications\n"
        "records = list(zoo_keras_applications.zoo_architectures())\n"
        "heavy = {'keras', 'tensorflow', 'cv2', 'numpy', 'h5py'}\n"
        "print(len(records), *{module.split('.')[0] for module in sys.modules} & heavy)"
    )
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert told.strip() == str(len(APPLICATIONS))


def test_brings_the_families_under_their_names():
    records = {record.name: record for record in zoo_keras_applications.zoo_architectures()}
    assert len(records) == len(APPLICATIONS) >= 28
    assert {"resnet50", "resnet50v2", "densenet121", "efficientnet_b0", "efficientnetv2_b0", "mobilenet_v1"} <= set(
        records
    )
    assert {"mobilenet_v3_small", "nasnet_mobile", "convnext_tiny", "xception", "inception_v3"} <= set(records)
    for record in records.values():
        assert record.backbone == "features"
        assert [each.name for each in record.weights] == ["imagenet"]
    if "zoo_keras_applications" in [entry.value for entry in entry_points(group="zoo")]:
        assert set(records) <= {
            offer.record.name for offer in architectures() if not architectures().contested(offer.record.name)
        }


def test_rows_are_sound():
    assert len({application.factory for application in APPLICATIONS}) == len(APPLICATIONS)
    assert len({application.file for application in APPLICATIONS}) == len(APPLICATIONS)
    for application in APPLICATIONS:
        assert callable(getattr(keras.applications, application.factory))
        assert 32 <= application.smallest_px < application.size_px
        assert 2 < application.parameters < 61
        assert re.fullmatch(r"|[0-9a-f]{32}|[0-9a-f]{64}", application.checksum)
        assert application.file.endswith(".h5")


@pytest.mark.parametrize(
    "application",
    [
        pytest.param(each, id=each.name, marks=[] if each.name == "mobilenet_v3_small" else [pytest.mark.long])
        for each in APPLICATIONS
        if ALL or each.name in SMALL
    ],
)
def test_file_checksum_and_parameters_are_those_of_keras(application, monkeypatch):
    asked = []

    def get_file(fname, origin=None, file_hash=None, **others):
        asked.append((fname, file_hash or ""))
        raise FileNotFoundError

    monkeypatch.setattr(keras.src.utils.file_utils, "get_file", get_file)
    factory = getattr(keras.applications, application.factory)
    with pytest.raises(FileNotFoundError):
        factory(weights="imagenet", input_shape=(application.size_px, application.size_px, 3))
    assert asked == [(application.file, application.checksum)]
    model = factory(weights=None, input_shape=(application.size_px, application.size_px, 3))
    normalization = [layer.count_params() for layer in model.layers if isinstance(layer, keras.layers.Normalization)]
    assert (model.count_params() - sum(normalization)) / 1e6 == pytest.approx(application.parameters, abs=0.051)


def test_labels_are_a_thousand_different_names():
    labels = weights.imagenet_labels()
    assert len({label.casefold() for label in labels}) == len(labels) == weights.CLASSES
    assert weights.imagenet_classes()[0] == ("n01440764", "tench")
