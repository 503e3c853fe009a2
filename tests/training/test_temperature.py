"""Calibrated confidence."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from tests.conftest import PhotoFolder, RunZoo
from zoo.training.temperature import divide_logits, fit_temperature


def answers_of(sharpness: float, images: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Classes that are drawn from softmax(logits), and the predictions softmax(sharpness * logits) of a model."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 1.5, (images, 4))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = (shares.cumsum(1) > random.random((images, 1))).argmax(1)
    said = np.exp(sharpness * logits)
    return (said / said.sum(1, keepdims=True)).astype(np.float32), true


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_corrects_overconfidence_and_underconfidence(sharpness: float) -> None:
    assert fit_temperature(*answers_of(sharpness)) == pytest.approx(sharpness, rel=0.08)


def test_few_images_that_are_all_right_do_not_make_it_certain_of_everything() -> None:
    sure = np.array([[0.9, 0.1]] * 5 + [[0.1, 0.9]] * 5, np.float32)
    temperature = fit_temperature(sure, np.array([0] * 5 + [1] * 5))
    assert 0.5 < temperature < 1


def test_without_images_nothing_is_changed() -> None:
    assert fit_temperature(np.empty((0, 3), np.float32), np.empty(0, int)) == 1


def dense(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dense(3, activation="softmax", name="probabilities")(layers.GlobalAveragePooling2D()(x))


def dense_and_activation(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Activation("softmax")(layers.Dense(3)(layers.Flatten()(x)))


def convolution(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Softmax()(
        layers.Flatten()(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1)(x))))
    )


def sum_of_depths(x: keras.KerasTensor) -> keras.KerasTensor:
    pooled = layers.GlobalAveragePooling2D()(x)
    scores = [layers.Dense(3, use_bias=False)(pooled), layers.Dense(3)(pooled)]
    return layers.Activation("softmax")(layers.Add()(scores))


@pytest.mark.parametrize("head", [dense, dense_and_activation, convolution, sum_of_depths])
def test_the_weights_contain_the_temperature_and_predictions_do_not_change(head) -> None:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, head(layers.Conv2D(4, 3, activation="relu")(inputs)))
    images = np.random.default_rng(0).uniform(0, 2, (20, 8, 8, 3)).astype(np.float32)
    before = model.predict(images, verbose=0)
    assert divide_logits(model, 2.0)
    after = model.predict(images, verbose=0)
    expected = np.sqrt(before) / np.sqrt(before).sum(1, keepdims=True)  # softmax(z / 2)
    np.testing.assert_allclose(after, expected, atol=1e-5)
    assert np.abs(after - before).max() > 0.01


@pytest.mark.parametrize(
    "head",
    [
        lambda x: layers.Softmax()(layers.GlobalAveragePooling2D()(x)),
        lambda x: layers.Softmax()(layers.Dense(3, activation="relu")(layers.Flatten()(x))),
        lambda x: layers.Softmax()(
            layers.Add()([layers.Dense(3)(layers.Flatten()(x)), layers.Dense(3, "relu")(layers.Flatten()(x))])
        ),
        lambda x: layers.Dense(3, activation="sigmoid")(layers.Flatten()(x)),
        lambda x: layers.GlobalAveragePooling2D()(layers.Softmax()(layers.Conv2D(3, 1)(x))),
    ],
    ids=["no weights", "not linear", "a sum that is not linear", "no softmax", "averaged probabilities"],
)
def test_a_model_whose_logits_are_not_linear_is_left_alone(head) -> None:
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, head(layers.Conv2D(3, 3, activation="relu")(inputs)))
    before = model.get_weights()
    assert not divide_logits(model, 2.0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_run_says_its_temperature_and_the_recipe_can_leave_it_out(
    photo_folder: PhotoFolder, tiny_net: None, run_zoo: RunZoo
) -> None:
    data = photo_folder({"rugby": 24, "soccer": 24})
    options = ["--data", data, "--size", "32", "--epochs", "2", "--precision", "float32"]
    for runs, more in (("on", []), ("off", ["--calibrate", "none"])):
        done = run_zoo("train", "tiny_net", *options, "--runs", runs, *more, cwd=data.parent)
        assert done.code == 0, done.err
    (on,), (off,) = ((data.parent / runs).iterdir() for runs in ("on", "off"))
    temperature = json.loads((on / "run.json").read_text())["temperature"]
    assert temperature > 0
    assert json.loads((off / "run.json").read_text())["temperature"] is None
    kernel, plain = (_last_kernel(run / "model.keras") for run in (on, off))
    np.testing.assert_allclose(kernel * temperature, plain, rtol=1e-3)
    assert "divided by" in (on / "report.html").read_text()


def _last_kernel(path: Path) -> np.ndarray:
    return keras.models.load_model(path, compile=False).layers[-1].get_weights()[0]
