"""What a plugin should prove of itself: its parts, its answers against the original, and what happens to bad weights."""

import csv
from importlib.metadata import entry_points
from pathlib import Path

import keras
import numpy as np
import pytest
from zoo import PluginError, UsageError
from zoo.testing import parametrize_with_checks
from zoo.weights import read_weights, write_weights

import zoo_efficientnet_lite
from zoo_efficientnet_lite import convert_weights, weights
from zoo_efficientnet_lite.model import build

(ARCHITECTURE,) = zoo_efficientnet_lite.zoo_architectures()
(IMAGENET,) = ARCHITECTURE.weights


def test_the_entry_point_names_the_module():
    ours = [entry for entry in entry_points(group="zoo") if entry.value == "zoo_efficientnet_lite"]
    if not ours:
        pytest.skip("the distribution is not installed, only on the path")
    assert ours[0].load() is zoo_efficientnet_lite


@parametrize_with_checks([ARCHITECTURE])
def test_conformance(check):
    check()


def test_has_as_many_parameters_as_the_original():
    model = build((224, 224, 3), 1000)
    assert model.count_params() == 4_694_024
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_weights) == 4_652_008


def test_pads_and_normalises_as_tensorflows_original():
    layers = build((224, 224, 3), 2).layers
    halving = [layer for layer in layers if getattr(layer, "strides", (1, 1)) == (2, 2)]
    assert len(halving) == 5
    assert {layer.padding for layer in halving} == {"same"}
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.epsilon for layer in norms} == {1e-3}
    normalization = next(layer for layer in layers if layer.name == "normalization")
    np.testing.assert_array_equal(np.asarray(normalization(np.float32([[127, 255, 0]]))), [[0, 1, -127 / 128]])


def test_takes_raw_pixels_of_any_size_and_gives_probabilities():
    model = build((75, 33, 3), 4)
    rows = model(np.random.default_rng(0).integers(0, 256, (3, 75, 33, 3)).astype("float32"), training=False)
    np.testing.assert_allclose(np.asarray(rows).sum(axis=1), 1, atol=1e-6)
    assert (model.input.name, model.output_names) == ("image", ["probabilities"])
    assert model.get_layer(ARCHITECTURE.backbone).output.shape == (None, 1280)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (((31, 224, 3), 2), "at least 32x32 pixels. Received: 224x31"),
        (((224, 224, 1), 2), r"\(height, width, 3\)"),
        (((224, 224, 3), 1), "at least 2 classes"),
    ],
)
def test_refuses_what_it_cannot_build(arguments, told):
    with pytest.raises(UsageError, match=told):
        build(*arguments)


def test_labels_are_a_thousand_different_names():
    labels = IMAGENET.labels()
    assert len({label.casefold() for label in labels}) == len(labels) == 1000
    assert weights.imagenet_classes()[0] == ("n01440764", "tench")


def test_another_number_of_classes_takes_the_backbone_alone():
    model = build((64, 64, 3), 7)
    with pytest.raises(
        UsageError, match=r"probabilities/kernel: expected \(1280, 7\), shape in the file \(1280, 1000\)"
    ):
        IMAGENET.load(model, True)
    IMAGENET.load(model, False)
    stored = read_weights(weights.IMAGENET)["top/kernel"].astype("float32")
    np.testing.assert_array_equal(np.asarray(model.get_layer("top").kernel), stored)


def test_damaged_weights_are_refused_with_both_checksums(tmp_path, monkeypatch):
    damaged = bytearray(weights.IMAGENET.read_bytes())
    damaged[1_000_000] ^= 1
    copy = tmp_path / "imagenet.npz"
    copy.write_bytes(damaged)
    monkeypatch.setattr(weights, "IMAGENET", copy)
    with pytest.raises(PluginError, match=rf"expected SHA-256 {weights.IMAGENET_SHA256}, actual [0-9a-f]{{64}}"):
        IMAGENET.load(build((32, 32, 3), 2), False)


# Against the original, on pictures that only developers have


@pytest.fixture(scope="module")
def sample(shared_data):
    """``(pixels, true)``: 100 pictures as the original was checked, shorter side 256 bicubic, centre crop 224."""
    with (shared_data / "nips17_sample.reference.tsv").open(newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))[::2]
    pixels = np.stack([_prepare(shared_data / "nips17_sample" / row["file"]) for row in rows])
    return pixels, np.array([int(row["true_index"]) for row in rows])


def _prepare(path: Path) -> np.ndarray:
    image_module = pytest.importorskip("PIL.Image")
    image = image_module.open(path).convert("RGB")
    scale = 256 / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    image = image.resize(size, image_module.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return np.asarray(image.crop((left, top, left + 224, top + 224)), dtype="float32")


def test_answers_as_the_original_does_and_float16_changes_none(sample, shared_data):
    pixels, true = sample
    model = build((224, 224, 3), 1000)
    original = convert_weights.convert(read_weights(shared_data / "weights" / "efficientnet_lite0_imagenet.npz"))
    for variable in model.weights:
        variable.assign(original.pop(variable.path))
    assert not original
    exact = model.predict(pixels, batch_size=50, verbose=0)
    assert int((exact.argmax(axis=1) == true).sum()) == 91
    assert int((np.argsort(-exact, axis=1)[:, :5] == true[:, None]).any(axis=1).sum()) == 99

    IMAGENET.load(model, True)
    shipped = model.predict(pixels, batch_size=50, verbose=0)
    assert (shipped.argmax(axis=1) == exact.argmax(axis=1)).mean() >= 0.99


def test_the_shipped_file_can_be_made_again(shared_data, tmp_path):
    source = read_weights(shared_data / "weights" / "efficientnet_lite0_imagenet.npz")
    assert write_weights(tmp_path / "again.npz", convert_weights.convert(source)) == weights.IMAGENET_SHA256
