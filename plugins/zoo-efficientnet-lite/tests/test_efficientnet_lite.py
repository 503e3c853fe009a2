"""The tests that a plugin should have: its parts, the agreement with the original, and damaged weights."""

import csv
from importlib.metadata import entry_points
from pathlib import Path

import keras
import numpy as np
import pytest
from original_photos import cropped, rows
from zoo import PluginError, UsageError
from zoo.testing import check_names, parametrize_with_checks
from zoo.weights import read_weights, write_weights

import zoo_efficientnet_lite
from zoo_efficientnet_lite import convert_weights, weights
from zoo_efficientnet_lite.model import build
from zoo_efficientnet_lite.variants import LITE0, LITE1, LITE2, VARIANTS

ARCHITECTURES = {record.name: record for record in zoo_efficientnet_lite.zoo_architectures()}

each_variant = pytest.mark.parametrize("variant", VARIANTS, ids=[variant.name for variant in VARIANTS])


def test_the_entry_point_names_the_module():
    ours = [entry for entry in entry_points(group="zoo") if entry.value == "zoo_efficientnet_lite"]
    if not ours:
        pytest.skip("the distribution is not installed, only on the path")
    assert ours[0].load() is zoo_efficientnet_lite


#: With so many layers, other checks take long, and zoo's own tests run them on smaller networks. `zoo plugin check`
#: runs all checks.
SHORT = ["record", "builds", "raw_pixels"]


@parametrize_with_checks([ARCHITECTURES["efficientnet_lite0"]], checks=SHORT)
def test_conformance(check):
    check()


@pytest.mark.long
@parametrize_with_checks(
    [ARCHITECTURES["efficientnet_lite0"]], checks=[name for name in check_names() if name not in SHORT]
)
def test_conformance_in_long_checks(check):
    check()


# These have more of the same layers, so only the fast checks are run. `zoo plugin check NAME` runs all checks.
@parametrize_with_checks(
    [ARCHITECTURES["efficientnet_lite1"], ARCHITECTURES["efficientnet_lite2"]],
    checks=["record", "builds"],
)
def test_conformance_of_the_larger_ones(check):
    check()


@pytest.mark.parametrize(
    ("variant", "size_px", "parameters", "trained"),
    [(LITE0, 224, 4_694_024, 4_652_008), (LITE1, 240, 5_470_344, 5_416_680), (LITE2, 260, 6_150_168, 6_092_072)],
)
def test_is_as_large_as_the_original(variant, size_px, parameters, trained):
    assert ARCHITECTURES[variant.name].image.input_shape == (size_px, size_px, 3)
    model = build(variant, (32, 32, 3), 1000)
    assert model.count_params() == parameters
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_weights) == trained


def test_pads_and_normalises_as_tensorflows_original():
    layers = build(LITE0, (224, 224, 3), 2).layers
    halving = [layer for layer in layers if getattr(layer, "strides", (1, 1)) == (2, 2)]
    assert len(halving) == 5
    assert {layer.padding for layer in halving} == {"same"}
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.epsilon for layer in norms} == {1e-3}
    normalization = next(layer for layer in layers if layer.name == "normalization")
    np.testing.assert_array_equal(np.asarray(normalization(np.float32([[127, 255, 0]]))), [[0, 1, -127 / 128]])


def test_takes_raw_pixels_of_any_size_and_gives_probabilities():
    model = build(LITE2, (75, 33, 3), 4)
    rows = model(np.random.default_rng(0).integers(0, 256, (3, 75, 33, 3)).astype("float32"), training=False)
    np.testing.assert_allclose(np.asarray(rows).sum(axis=1), 1, atol=1e-6)
    assert (model.input.name, model.output_names) == ("image", ["probabilities"])
    assert model.get_layer(ARCHITECTURES["efficientnet_lite2"].backbone).output.shape == (None, 1280)


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
        build(LITE1, *arguments)


def test_labels_are_a_thousand_different_names():
    labels = weights.imagenet_labels()
    assert len({label.casefold() for label in labels}) == len(labels) == 1000
    assert weights.imagenet_classes()[0] == ("n01440764", "tench")


@each_variant
def test_another_number_of_classes_takes_the_backbone_alone(variant):
    model = build(variant, (64, 64, 3), 7)
    (imagenet,) = ARCHITECTURES[variant.name].weights
    with pytest.raises(
        UsageError, match=r"probabilities/kernel: expected \(1280, 7\), shape in the file \(1280, 1000\)"
    ):
        imagenet.load(model, True)
    imagenet.load(model, False)
    stored = read_weights(weights.imagenet(variant))["top/kernel"].astype("float32")
    np.testing.assert_array_equal(np.asarray(model.get_layer("top").kernel), stored)


def test_damaged_weights_are_refused_with_both_checksums(tmp_path, monkeypatch):
    damaged = bytearray(weights.imagenet(LITE0).read_bytes())
    damaged[1_000_000] ^= 1
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    weights.imagenet(LITE0).write_bytes(damaged)
    with pytest.raises(PluginError, match=rf"expected SHA-256 {LITE0.sha256}, actual [0-9a-f]{{64}}"):
        weights.load_imagenet(LITE0, build(LITE0, (32, 32, 3), 2), False)


# Comparison with the original, on photos that only developers have

#: Correct top-1 and top-5 predictions on 100 photos, cropped as for the original. Those of PyTorch are the same.
RIGHT = {LITE0: (91, 99), LITE1: (94, 99), LITE2: (95, 100)}


@pytest.mark.parametrize(
    ("variant", "every"),
    [(LITE0, 10), *(pytest.param(variant, 2, marks=pytest.mark.long) for variant in VARIANTS)],
    ids=lambda value: getattr(value, "name", value),
)
def test_logits_are_those_of_the_original_and_float16_changes_no_label(variant, every, shared_data):
    """Uses every second photo, or the 20 photos for which the logits of the original are known."""
    photos = rows(shared_data)[::every]
    pixels = np.stack([cropped(shared_data / "nips17_sample" / row["file"], variant.size_px) for row in photos])
    true = np.array([int(row["true_index"]) for row in photos])
    model = build(variant, (variant.size_px, variant.size_px, 3), 1000)

    original = convert_weights.convert(read_weights(shared_data / "weights" / f"{variant.name}_imagenet.npz"))
    for variable in model.weights:
        variable.assign(original.pop(variable.path))
    assert not original
    exact = logits(model, pixels)
    top_1 = exact.argmax(axis=1)
    top_5 = np.argsort(-exact, axis=1)[:, :5]
    right = int((top_1 == true).sum()), int((top_5 == true[:, None]).any(axis=1).sum())
    assert right == RIGHT[variant] if every == 2 else min(right[0] - 17, right[1] - 19) >= 0
    expected = {row["file"]: row for row in logits_of_pytorch() if row["architecture"] == variant.name}
    compared = [
        (row, expected[photo["file"]]) for photo, row in zip(photos, exact, strict=True) if photo["file"] in expected
    ]
    assert len(compared) == 20
    for row, theirs in compared:
        assert row.argmax() == int(theirs["top1"])
        np.testing.assert_allclose(row[::100], [float(theirs[str(index)]) for index in range(0, 1000, 100)], atol=1e-4)

    weights.load_imagenet(variant, model, True)
    some = slice(None, None, 5 if every == 2 else 2)
    shipped = logits(model, pixels[some])
    assert np.abs(shipped - exact[some]).max() < 0.1
    assert (shipped.argmax(axis=1) == top_1[some]).all()


def logits(model, pixels):
    """The outputs of the head before its softmax."""
    features = keras.Model(model.input, model.get_layer("features").output).predict(pixels, batch_size=25, verbose=0)
    head = model.get_layer("probabilities")
    return features @ np.asarray(head.kernel) + np.asarray(head.bias)


def logits_of_pytorch():
    """The rows that ``make_original_logits.py`` wrote."""
    with Path(__file__).with_name("original_logits.tsv").open(newline="") as table:
        return list(csv.DictReader(table, delimiter="\t"))


@each_variant
def test_the_shipped_file_can_be_made_again(variant, shared_data, tmp_path):
    source = read_weights(shared_data / "weights" / f"{variant.name}_imagenet.npz")
    assert write_weights(tmp_path / "again.npz", convert_weights.convert(source)) == variant.sha256
