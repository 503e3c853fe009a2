"""The networks predict like ``keras.applications`` with its own preprocessing, and meet the requirements of zoo."""

import importlib
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from zoo import UsageError
from zoo.testing.fitted import settle_batch_norm

from zoo_keras_applications import architecture
from zoo_keras_applications.applications import APPLICATIONS
from zoo_keras_applications.model import adapt, build, copy_weights, original

ALL = bool(os.environ.get("ZOO_TEST_ALL_APPLICATIONS"))
BY_NAME = {application.name: application for application in APPLICATIONS}
CLASSES = 5

#: One network for each kind of preprocessing and of replaced layer. The others are tested only on request.
EQUAL = ["mobilenet_v1", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny"]
DEEP = sorted(BY_NAME.keys() - EQUAL) if ALL else ["resnet50", "xception", "efficientnetv2_s"]


def preprocessing(application):
    """``preprocess_input`` of the module of ``keras.applications`` that the factory comes from."""
    factory = getattr(keras.applications, application.factory)
    return importlib.import_module(factory.__module__).preprocess_input


def noise(application, count, seed):
    side = max(64, application.smallest_px)
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype("float32")


@pytest.mark.parametrize("name", [*EQUAL, *(pytest.param(name, marks=pytest.mark.long) for name in DEEP)])
def test_raw_pixels_give_what_keras_gives_for_prepared_ones(name):
    application = BY_NAME[name]
    prepare, pixels = preprocessing(application), noise(application, 3, seed=1)
    theirs = keras_own(application, pixels)

    source = original(application, pixels.shape[1:], CLASSES, weights=None)
    for layer, same in zip(weighted(theirs), weighted(source), strict=True):
        same.set_weights(layer.get_weights())
    ours, pairs = adapt(application, source, dropout=0.2)
    copy_weights(application, pairs)

    expected = np.asarray(theirs(prepare(pixels.copy()), training=False))
    assert np.ptp(expected, axis=0).max() > 1e-3  # the predictions depend on the image
    np.testing.assert_allclose(np.asarray(ours(pixels, training=False)), expected, atol=1e-5)


def keras_own(application, pixels):
    """The network as Keras builds it, with BatchNorm fitted to the pixels, so that predictions depend on them."""
    keras.utils.set_random_seed(0)
    factory = getattr(keras.applications, application.factory)
    model = factory(weights=None, input_shape=pixels.shape[1:], classes=CLASSES)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:  # EfficientNet's, set by its file
            layer.set_weights([np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225]) ** 2, np.array(0)])
            layer.finalize_state()
    settle_batch_norm(model, preprocessing(application)(noise(application, 8, seed=2)))
    head = weighted(model)[-1]
    head.kernel.assign(head.kernel * 0.1)  # an untrained network amplifies rounding
    return model


def weighted(model):
    return [layer for layer in model.layers if layer.weights and not isinstance(layer, keras.layers.Normalization)]


@pytest.mark.parametrize("name", sorted(BY_NAME) if ALL else ["mobilenet_v3_small", "convnext_tiny"])
def test_layers_are_public_ones_and_named_alike_whenever_they_are_built(name):
    application = BY_NAME[name]
    side = max(64, application.smallest_px)
    first, again = (build(application, (side, side, 3), 3) for _ in range(2))
    assert {type(layer).__module__.split(".")[:3] == ["keras", "src", "layers"] for layer in first.operations} == {True}
    assert [weight.path for weight in first.weights] == [weight.path for weight in again.weights]
    assert [layer.name for layer in first.layers] == [layer.name for layer in again.layers]
    assert first.get_layer("features").output.shape[1:] == first.get_layer("probabilities").kernel.shape[:1]


@pytest.mark.long
def test_a_saved_model_opens_in_a_process_that_knows_nothing_of_us(tmp_path):
    model = build(BY_NAME["convnext_tiny"], (32, 32, 3), 3)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "pixels.npy", pixels)
    script = (
        "import sys; sys.modules['zoo'] = sys.modules['zoo_keras_applications'] = None\n"
        "import keras, numpy\n"
        "answer = keras.models.load_model('model.keras')(numpy.load('pixels.npy'), training=False)\n"
        "numpy.save('answer.npy', keras.ops.convert_to_numpy(answer))"
    )
    subprocess.run([sys.executable, "-I", "-c", script], cwd=tmp_path, check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), np.asarray(model(pixels, training=False)), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (((31, 224, 3), 2), "at least 32x32 pixels. Received: 224x31"),
        (((224, 224, 1), 2), r"\(height, width, 3\)"),
        (((224, 224, 3), 1), "at least 2 classes"),
        (((224, 224, 3), 2, 1.0), "dropout must be from 0 to below 1"),
    ],
)
def test_refuses_what_it_cannot_build(arguments, told):
    shape, classes, *dropout = arguments
    with pytest.raises(UsageError, match=told):
        architecture(BY_NAME["mobilenet_v1"]).build(shape, classes, **({"dropout": dropout[0]} if dropout else {}))
