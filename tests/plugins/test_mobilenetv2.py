"""MobileNetV2: its layers, agreement with that of torchvision, and errors if weights do not match."""

import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import zoo_mobilenetv2
from zoo_mobilenetv2 import convert_weights, weights
from zoo_mobilenetv2.model import build

from zoo import PluginError, UsageError
from zoo.weights import load_weights, model_arrays, read_weights, write_weights

IMAGENET = zoo_mobilenetv2.ARCHITECTURE.weights[0]


def trained_parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_weights)


# The network


def test_has_as_many_parameters_as_the_paper_and_torchvision():
    assert trained_parameters(build((224, 224, 3), 1000)) == 3_504_872


def test_width_one_point_four_widens_the_last_layer_and_a_half_does_not_narrow_it():
    assert build((96, 96, 3), 5, width=1.4).get_layer("features").output.shape == (None, 1792)
    half = build((96, 96, 3), 1000, width=0.5)
    assert half.get_layer("features").output.shape == (None, 1280)
    assert trained_parameters(half) == 1_968_680  # torchvision's mobilenet_v2(width_mult=0.5)


def test_takes_raw_pixels_of_any_size_and_gives_probabilities():
    model = build((75, 33, 3), 4, width=0.35)
    rows = model(np.random.default_rng(0).integers(0, 256, (3, 75, 33, 3)).astype("float32"), training=False)
    assert keras.backend.standardize_dtype(rows.dtype) == "float32"
    np.testing.assert_allclose(np.asarray(rows).sum(axis=1), 1, atol=1e-6)
    assert model.input.name == "image"
    assert model.output_names == ["probabilities"]


def test_is_flat_and_of_keras_layers_only():
    layers = build((32, 32, 3), 2).layers
    assert {type(layer).__module__.split(".")[0] for layer in layers} == {"keras"}
    assert not [layer.name for layer in layers if isinstance(layer, keras.Model)]
    assert "block_03_expand" in [layer.name for layer in layers]


def test_halves_by_padding_every_side_as_pytorch():
    layers = build((224, 224, 3), 2).layers
    halving = [layer for layer in layers if getattr(layer, "strides", (1, 1)) == (2, 2)]
    pads = [layer for layer in layers if isinstance(layer, keras.layers.ZeroPadding2D)]
    assert len(halving) == len(pads) == 5
    assert {layer.padding for layer in halving} == {"valid"}
    assert {layer.padding for layer in pads} == {((1, 1), (1, 1))}
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {(layer.epsilon, layer.momentum) for layer in norms} == {(1e-5, 0.9)}


def test_normalises_as_imagenet_wants():
    model = build((32, 32, 3), 2)
    pixels = np.zeros((1, 32, 32, 3), "float32")
    pixels[..., 0] = 255
    normalised = np.asarray(model.get_layer("normalization")(pixels))[0, 0, 0]
    np.testing.assert_allclose(normalised, [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-6)


def test_mixed_precision_computes_in_bfloat16_and_predicts_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build((32, 32, 3), 3)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("normalization").compute_dtype == "float32"
    assert model.get_layer("stem").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


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


@pytest.mark.parametrize("options", [{"width": 0}, {"width": float("nan")}, {"dropout": 1.0}])
def test_refuses_options_out_of_range(options):
    with pytest.raises(UsageError, match=f"{next(iter(options))} must be"):
        build((224, 224, 3), 2, **options)


def test_importing_the_plugin_loads_no_framework():
    script = (
        "import sys, zoo_mobilenetv2; print(*{m.split('.')[0] for m in sys.modules} & {'keras', 'tensorflow', 'cv2'})"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == ""


# Its weights


@pytest.fixture(scope="module")
def shipped():
    model = build((224, 224, 3), 1000)
    IMAGENET.load(model, True)
    return model


def test_labels_are_a_thousand_different_names_even_with_case_ignored():
    labels = IMAGENET.labels()
    assert len({label.casefold() for label in labels}) == len(labels) == 1000
    assert (labels[0], labels[134], labels[517]) == ("tench", "crane bird", "crane machine")
    assert weights.imagenet_classes()[0] == ("n01440764", "tench")


def test_the_backbone_alone_fits_any_number_of_classes_and_leaves_the_head(shipped):
    model = build((96, 128, 3), 7)
    head = np.asarray(model.get_layer("probabilities").kernel)
    IMAGENET.load(model, False)
    np.testing.assert_array_equal(model.get_layer("probabilities").kernel, head)
    np.testing.assert_array_equal(model.get_layer("top").kernel, shipped.get_layer("top").kernel)


def test_another_number_of_classes_is_told_with_both_shapes():
    with pytest.raises(
        UsageError, match=r"probabilities/kernel: expected \(1280, 7\), shape in the file \(1280, 1000\)"
    ):
        IMAGENET.load(build((32, 32, 3), 7), True)


def test_another_width_is_told_with_the_mend_and_changes_nothing():
    model = build((32, 32, 3), 1000, width=0.5)
    before = model_arrays(model)
    with pytest.raises(
        UsageError, match=r"stem/kernel: expected \(3, 3, 3, 16\), shape in the file \(3, 3, 3, 32\)"
    ) as told:
        IMAGENET.load(model, True)
    assert "width=1.0" in told.value.hint
    after = model_arrays(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_damaged_weights_are_refused_with_both_checksums(tmp_path, monkeypatch):
    damaged = bytearray(weights.IMAGENET.read_bytes())
    damaged[1_000_000] ^= 1
    copy = tmp_path / "imagenet.npz"
    copy.write_bytes(damaged)
    monkeypatch.setattr(weights, "IMAGENET", copy)
    with pytest.raises(PluginError, match=rf"expected SHA-256 {weights.IMAGENET_SHA256}, actual [0-9a-f]{{64}}"):
        IMAGENET.load(build((32, 32, 3), 2), False)


def test_missing_weights_are_a_broken_installation(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "IMAGENET", tmp_path / "imagenet.npz")
    with pytest.raises(PluginError, match="Could not read the weights"):
        IMAGENET.load(build((32, 32, 3), 2), False)


# Compared with torchvision


@dataclass(frozen=True)
class Reference:
    """The predictions of torchvision's model for 200 images with one preprocessing; tests use some of them."""

    pixels: np.ndarray
    true: np.ndarray
    top1: np.ndarray
    logit: np.ndarray


def prepare(path: Path, how: str) -> np.ndarray:
    """The preprocessing of the reference table: Pillow, bilinear."""
    image_module = pytest.importorskip("PIL.Image")
    bilinear = image_module.Resampling.BILINEAR
    image = image_module.open(path).convert("RGB")
    if how == "squash":
        return np.asarray(image.resize((224, 224), bilinear))
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), bilinear)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


@pytest.fixture(scope="module", params=["crop", pytest.param("squash", marks=pytest.mark.long)])
def reference(request, shared_data):
    with (shared_data / "nips17_sample.reference.tsv").open(newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert len(rows) == 200
    return Reference(
        pixels=np.stack([prepare(shared_data / "nips17_sample" / row["file"], request.param) for row in rows]),
        true=np.array([int(row["true_index"]) for row in rows]),
        top1=np.array([int(row[f"{request.param}_top1"]) for row in rows]),
        logit=np.array([float(row[f"{request.param}_logit"]) for row in rows]),
    )


def logits(model, pixels):
    features = keras.Model(model.input, model.get_layer("features").output)
    kernel, bias = model.get_layer("probabilities").get_weights()
    return features.predict(pixels.astype("float32"), batch_size=40, verbose=0) @ kernel + bias


def test_float32_weights_give_the_predictions_of_torchvision(reference, shared_data):
    model = build((224, 224, 3), 1000)
    original = convert_weights.convert(read_weights(shared_data / "weights" / "mobilenetv2_imagenet.npz"))
    for variable in model.weights:
        variable.assign(original.pop(variable.path))
    assert not original
    answers = logits(model, reference.pixels[::4])
    np.testing.assert_array_equal(answers.argmax(axis=1), reference.top1[::4])
    # The table has only three decimals.
    np.testing.assert_allclose(answers.max(axis=1), reference.logit[::4], rtol=0, atol=5e-4 + 1e-4)


def test_the_shipped_float16_weights_give_the_same_predictions(reference, shipped):
    answers = logits(shipped, reference.pixels[::2]).argmax(axis=1)
    top1, true = reference.top1[::2], reference.true[::2]
    assert (answers == top1).mean() >= 0.99
    assert abs((answers == true).mean() - (top1 == true).mean()) <= 0.01


def test_the_shipped_file_can_be_made_again(shared_data, tmp_path):
    source = read_weights(shared_data / "weights" / "mobilenetv2_imagenet.npz")
    assert write_weights(tmp_path / "again.npz", convert_weights.convert(source)) == weights.IMAGENET_SHA256


@pytest.mark.long
def test_a_users_keras_file_fills_the_backbone_and_the_head_where_it_fits(tmp_path):
    theirs = build((32, 32, 3), 3)
    theirs.save(tmp_path / "theirs.keras")
    same, other = build((32, 32, 3), 3), build((64, 64, 3), 5)
    assert load_weights(same, tmp_path / "theirs.keras", backbone="features") is True
    assert load_weights(other, tmp_path / "theirs.keras", backbone="features") is False
    for model in (same, other):
        np.testing.assert_array_equal(model.get_layer("stem").kernel, theirs.get_layer("stem").kernel)
    np.testing.assert_array_equal(same.get_layer("probabilities").kernel, theirs.get_layer("probabilities").kernel)
