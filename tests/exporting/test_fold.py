"""Folding: fewer layers give the same predictions, and layers that must stay are not folded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import zoo_mobilenetv2.model
import zoo_mobilenetv2.weights
import zoo_simple_cnn.model
from keras import layers

from tests.conftest import draw_photo
from tests.exporting.models import Pixels, answers, classifier, kinds, pixels, randomise
from zoo import ExportError
from zoo.exporting.fold import fold
from zoo.image_spec import ImageSpec
from zoo.images import load_image


def folded(model: keras.Model, images: Pixels | None = None) -> keras.Model:
    """Folds a model. Its outputs may change by 1e-5, relative to the largest output if that exceeds 1."""
    images = pixels(6, model.input_shape[1:]) if images is None else images
    before = answers(model, images)
    made = fold(model)
    reach = max(1.0, float(np.abs(before).max()))
    np.testing.assert_allclose(answers(made, images) / reach, before / reach, rtol=0, atol=1e-5)
    assert np.ptp(before, axis=0).max() > 1e-3  # a model with constant outputs would prove nothing
    return made


# The architectures


@pytest.fixture(scope="module")
def mobilenetv2() -> keras.Model:
    model = zoo_mobilenetv2.model.build((224, 224, 3), 1000)
    zoo_mobilenetv2.weights.load_imagenet(model, True)
    return model


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Pixels:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(4):
        draw_photo(folder / f"{number}.jpg", 40 * number, number, size=(320, 240))
    return np.stack([load_image(str(path), ImageSpec()) for path in sorted(folder.iterdir())])


def test_mobilenetv2_predicts_the_same_without_training_layers(mobilenetv2: keras.Model, photos: Pixels) -> None:
    before = [np.array(weight) for weight in mobilenetv2.get_weights()]
    made = folded(mobilenetv2, photos)
    assert not {"BatchNormalization", "Rescaling", "Dropout"} & set(kinds(made))
    assert kinds(made).count("Conv2D") + kinds(made).count("DepthwiseConv2D") == 52
    # The original model is unchanged: its layers, its names, and every weight.
    assert kinds(mobilenetv2).count("BatchNormalization") == 52
    for weight, was in zip(mobilenetv2.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
    theirs = {id(weight) for weight in mobilenetv2.weights}
    assert not theirs & {id(weight) for weight in made.weights}


def test_simple_cnn() -> None:
    made = folded(randomise(zoo_simple_cnn.model.build((32, 24, 3), 5)), pixels(6, (32, 24, 3)))
    assert not {"Rescaling", "Dropout"} & set(kinds(made))


def test_a_folded_model_is_a_plain_keras_file(tmp_path: Path) -> None:
    made = folded(randomise(zoo_simple_cnn.model.build((16, 16, 3), 3)))
    made.save(tmp_path / "folded.keras")
    images = pixels(4)
    again = keras.models.load_model(tmp_path / "folded.keras", compile=False)
    np.testing.assert_array_equal(answers(again, images), answers(made, images))


def test_folding_again_changes_nothing() -> None:
    made = folded(classifier(lambda x: layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x))))
    assert kinds(folded(made)) == kinds(made)


# Pixels: normalisation is folded into the first convolution, including the border


def whole_map(scale: Callable[[Any], Any], convolution: keras.Layer) -> keras.Model:
    """A model that ends with the first convolution, so that every position is compared."""
    image = keras.Input((11, 9, 3), name="image")
    return randomise(keras.Model(image, convolution(scale(image))))


def rescale(image: Any) -> Any:
    return layers.Rescaling([1 / 58, 1 / 57, 1 / 57.5], [-2.1, -2.0, 1.8])(image)


def normalise(image: Any) -> Any:
    return layers.Normalization(mean=[123.7, 116.3, 103.5], variance=[3411, 3264, 3307])(image)


def in_two_steps(image: Any) -> Any:
    return layers.Normalization(mean=[0.485, 0.456, 0.406], variance=[0.05, 0.05, 0.06])(
        layers.Rescaling(1 / 255)(image)
    )


def with_a_margin(image: Any) -> Any:
    return layers.ZeroPadding2D(((1, 2), (0, 3)))(rescale(image))


def back_to_pixels(image: Any) -> Any:
    return layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[0.5, 0.4, 0.3], invert=True)(image)


@pytest.mark.parametrize("scale", [rescale, normalise, in_two_steps, with_a_margin, back_to_pixels])
@pytest.mark.parametrize(
    "settings",
    [{}, {"strides": 2}, {"dilation_rate": 2}, {"use_bias": False}, {"kernel_size": 4}],
    ids=["", "strides", "dilation", "no bias", "even kernel"],
)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_normalisation_goes_into_the_first_convolution_to_the_last_pixel(
    scale: Callable[[Any], Any], settings: dict[str, Any], padding: str
) -> None:
    model = whole_map(scale, layers.Conv2D(5, **{"kernel_size": 3, "padding": padding} | settings))
    made = folded(model, pixels(4, (11, 9, 3)))
    assert not {"Rescaling", "Normalization"} & set(kinds(made))
    assert kinds(made).count("Conv2D") == 1


def test_normalisation_that_was_adapted_to_images() -> None:
    learnt = layers.Normalization()
    learnt.adapt(pixels(16, (11, 9, 3)).astype("float32"))
    image = keras.Input((11, 9, 3), name="image")
    convolution = layers.Conv2D(4, 3, padding="same")
    made = folded(keras.Model(image, convolution(learnt(image))), pixels(4, (11, 9, 3)))
    assert "Normalization" not in kinds(made)


@pytest.mark.parametrize(
    "body",
    [
        lambda x: layers.DepthwiseConv2D(3, padding="same")(x),
        lambda x: layers.Conv2D(6, 3, groups=3, padding="same")(x),
        lambda x: layers.Concatenate()([layers.Conv2D(4, 3, padding="same")(x), x]),
        lambda x: layers.Dense(4)(layers.Flatten()(x)),
        lambda x: layers.MaxPooling2D()(x),
    ],
    ids=["depthwise", "groups", "read twice", "dense", "pooling"],
)
def test_normalisation_before_anything_else_stays(body: Callable[[Any], Any]) -> None:
    assert kinds(folded(classifier(body))).count("Rescaling") == 1


def test_pixels_that_are_also_read_raw_are_not_scaled() -> None:
    image = keras.Input((16, 16, 3), name="image")
    scaled = layers.Conv2D(4, 3, padding="same")(layers.Rescaling(1 / 255)(image))
    raw = layers.Conv2D(4, 3, padding="same")(image)
    folded(randomise(keras.Model(image, layers.Concatenate()([scaled, raw]))))


def test_normalisation_by_position_stays() -> None:
    image = keras.Input((4, 4, 3), name="image")
    by_row = layers.Normalization(axis=(1, 3))
    by_row.adapt(pixels(16, (4, 4, 3)).astype("float32"))
    made = folded(keras.Model(image, layers.Conv2D(4, 3)(by_row(image))), pixels(4, (4, 4, 3)))
    assert "Normalization" in kinds(made)


# BatchNorm: into the layer before it


def norm(x: Any, **settings: Any) -> Any:
    return layers.BatchNormalization(**settings)(x)


@pytest.mark.parametrize(
    "body",
    [
        lambda x: norm(layers.Conv2D(8, 3)(x)),
        lambda x: norm(layers.Conv2D(8, 3, use_bias=False)(x), scale=False),
        lambda x: norm(layers.Conv2D(8, 3)(x), center=False),
        lambda x: norm(layers.Conv2D(8, 3)(x), scale=False, center=False, epsilon=0.1),
        lambda x: norm(layers.Conv2D(6, 3, groups=3)(x)),
        lambda x: norm(layers.DepthwiseConv2D(3, padding="same")(x)),
        lambda x: norm(layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(x)),
        lambda x: norm(layers.Conv2DTranspose(5, 3, strides=2)(x)),
        lambda x: norm(layers.Dense(7)(layers.Flatten()(x))),
        lambda x: norm(layers.Dense(7, use_bias=False)(x)),
        lambda x: layers.ReLU()(norm(layers.Conv2D(8, 3)(x), axis=3)),
    ],
    ids=[
        "conv",
        "no scale",
        "no center",
        "neither",
        "groups",
        "depthwise",
        "multiplier 2",
        "transposed",
        "dense",
        "dense by pixel",
        "axis 3",
    ],
)
def test_batch_norm_goes_into_the_layer_before_it(body: Callable[[Any], Any]) -> None:
    assert "BatchNormalization" not in kinds(folded(classifier(body)))


def test_batch_norm_of_a_nearly_dead_channel() -> None:
    model = classifier(lambda x: norm(layers.Conv2D(4, 3, name="conv")(x), name="norm"))
    gamma, beta, mean, variance = model.get_layer("norm").get_weights()
    variance[1] = 1e-12
    gamma[1], mean[1] = 1e-3, 0.0
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[..., 1], bias[1] = kernel[..., 1] * 1e-6, 0
    model.get_layer("norm").set_weights([gamma, beta, mean, variance])
    model.get_layer("conv").set_weights([kernel, bias])
    assert "BatchNormalization" not in kinds(folded(model))


def after_relu(x: Any) -> Any:
    return norm(layers.Conv2D(8, 3, activation="relu", padding="same")(x))


def before_relu(x: Any) -> Any:
    """Pre-activation, as in ResNet v2: the BatchNorm normalises the sum before it, not the convolution after it."""
    x = layers.Add()([layers.Conv2D(8, 3, padding="same")(x), layers.Conv2D(8, 1)(x)])
    return layers.Conv2D(8, 3, padding="same")(layers.ReLU()(norm(x)))


def before_padding(x: Any) -> Any:
    x = layers.Add()([layers.Conv2D(8, 3, padding="same")(x), layers.Conv2D(8, 1)(x)])
    return layers.Conv2D(8, 3, padding="same")(norm(x))


def used_elsewhere(x: Any) -> Any:
    x = layers.Conv2D(8, 3, padding="same")(x)
    return layers.Add()([x, layers.ReLU()(norm(x))])


def convolution_called_twice(x: Any) -> Any:
    shared = layers.Conv2D(3, 3, padding="same")
    return norm(shared(layers.ReLU()(norm(shared(x)))))


def over_rows(x: Any) -> Any:
    return norm(layers.Conv2D(8, 3, padding="same")(x), axis=1)


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (after_relu, 1),
        (before_relu, 1),
        (before_padding, 1),
        (used_elsewhere, 1),
        (convolution_called_twice, 2),
        (over_rows, 1),
    ],
)
def test_batch_norm_that_cannot_be_folded_stays(body: Callable[[Any], Any], left: int) -> None:
    assert kinds(folded(classifier(body))).count("BatchNormalization") == left


def test_batch_norm_called_twice_stays() -> None:
    shared = layers.BatchNormalization()

    def body(x: Any) -> Any:
        return layers.Add()([shared(layers.Conv2D(4, 3)(x)), shared(layers.Conv2D(4, 3)(x))])

    assert "BatchNormalization" in kinds(folded(classifier(body)))


def test_predictions_are_kept_if_the_convolution_is_also_an_output() -> None:
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3)(image)
    layers.BatchNormalization()(x)  # created, but not part of the model
    folded(randomise(keras.Model(image, x)), pixels(4, (8, 8, 3)))


# Structures of models


def backbone(name: str = "backbone") -> keras.Model:
    inputs = keras.Input((None, None, 3))
    x = layers.ReLU(6.0)(norm(layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(inputs)))
    x = layers.ReLU(6.0)(norm(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x), name=name)


def test_a_nested_backbone_is_opened() -> None:
    made = folded(classifier(lambda x: layers.Dropout(0.5)(backbone()(x, training=False))))
    assert not {"Functional", "BatchNormalization", "Rescaling", "Dropout"} & set(kinds(made))


def test_a_backbone_in_a_backbone() -> None:
    def body(x: Any) -> Any:
        outer = keras.Input((None, None, 3))
        return keras.Model(outer, layers.Dense(5)(backbone()(outer)), name="outer")(x)

    assert not {"Functional", "BatchNormalization"} & set(kinds(folded(classifier(body))))


def test_a_backbone_called_twice_answers_as_before() -> None:
    shared = backbone()

    def body(x: Any) -> Any:
        return layers.Concatenate()([shared(x), shared(layers.Cropping2D(2)(x))])

    assert "BatchNormalization" in kinds(folded(classifier(body)))


def test_a_sequential_model() -> None:
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, activation="relu"),
            keras.Sequential([layers.Conv2D(6, 3), layers.BatchNormalization(), layers.ReLU()], name="inner"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    assert not {"Sequential", "Rescaling", "BatchNormalization"} & set(kinds(folded(randomise(model))))


def test_a_sequential_model_that_was_built_by_its_first_images() -> None:
    model = keras.Sequential([layers.Rescaling(1 / 255), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()])
    answers(model, pixels(2))
    assert "Rescaling" not in kinds(folded(randomise(model)))


def test_operations_between_layers() -> None:
    def body(x: Any) -> Any:
        x = norm(layers.Conv2D(6, 3)(x)) * 0.5 + 1.0
        return keras.ops.concatenate([keras.ops.relu(x), -x], axis=-1)

    assert "BatchNormalization" not in kinds(folded(classifier(body)))


def test_a_model_trained_in_bfloat16_leaves_in_float32() -> None:
    def body(x: Any) -> Any:
        settings = {"dtype": "mixed_bfloat16"}
        return layers.ReLU(6.0, **settings)(norm(layers.Conv2D(6, 3, **settings)(x), **settings))

    model = classifier(body)
    made = fold(model)
    assert {layer.compute_dtype for layer in made.layers} == {"float32"}
    whole = classifier(lambda x: layers.ReLU(6.0)(norm(layers.Conv2D(6, 3)(x))))
    whole.set_weights(model.get_weights())
    np.testing.assert_allclose(answers(made, pixels(4)), answers(whole, pixels(4)), rtol=0, atol=1e-5)


def test_a_frozen_model_leaves_as_it_answers() -> None:
    model = classifier(lambda x: norm(layers.Conv2D(6, 3)(x)))
    model.trainable = False
    folded(model)
    assert not model.trainable


# Layers whose content is unknown


def test_a_subclassed_model_is_refused_by_its_name() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="own_model")
            self.dense = layers.Dense(2)

        def call(self, image: Any) -> Any:
            return self.dense(image)

    with pytest.raises(ExportError, match="'own_model' is a Own: its layers are called in Python code") as told:
        fold(Own())
    assert told.value.hint == "Build it with keras.Model(inputs, outputs)."


def test_a_model_of_two_inputs_is_refused() -> None:
    first, second = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    with pytest.raises(ExportError, match="has 2 inputs and 1 outputs"):
        fold(keras.Model([first, second], layers.Add()([first, second])))


def test_a_sequential_model_without_a_shape_is_refused() -> None:
    with pytest.raises(ExportError, match="Sequential"):
        fold(keras.Sequential([layers.Dense(2)]))


# Layers as they are used elsewhere


def test_a_layer_whose_configuration_makes_other_weights_is_named_and_not_exported_at_random() -> None:
    model = classifier(lambda x: layers.Conv2D(4, 3)(x))
    model.get_layer("probabilities").quantize("int8")
    with pytest.raises(ExportError, match=r"The Dense layer 'probabilities' cannot be copied") as told:
        fold(model)
    assert "model.quantize()" in (told.value.hint or "")


def test_a_dense_layer_over_a_map_becomes_a_convolution() -> None:
    def body(x: Any) -> Any:
        x = layers.Dense(6, activation="gelu")(layers.Conv2D(4, 3, strides=2)(x))
        x = layers.Dense(5, use_bias=False)(layers.LayerNormalization()(x))
        x = layers.BatchNormalization()(x)
        return layers.Flatten()(layers.Dense(7, activation="relu", name="row")(layers.Reshape((49, 5))(x)))

    made = folded(classifier(body))
    assert kinds(made).count("Conv2D") == 3
    assert isinstance(made.get_layer("row"), layers.Dense)  # a sequence, not a map
    assert "BatchNormalization" not in kinds(made)


def test_tensor_constants_become_arrays() -> None:
    mean = keras.ops.convert_to_tensor([0.1, -0.2, 0.3])
    model = classifier(lambda x: keras.ops.divide(x - mean, keras.ops.convert_to_tensor(0.5)))
    traced = tf.function(folded(model)).get_concrete_function(tf.TensorSpec((None, 16, 16, 3)))
    held = [tensor for tensor in traced.captured_inputs if tensor.dtype != tf.resource]
    assert held == []


@pytest.mark.parametrize("kind", [layers.GRU, layers.LSTM, layers.SimpleRNN])
def test_recurrent_layers_are_unrolled(kind: type[keras.Layer]) -> None:
    model = classifier(lambda x: kind(6)(layers.Reshape((16, 48))(x)))
    (layer,) = [layer for layer in folded(model).layers if isinstance(layer, kind)]
    assert layer.unroll


@pytest.mark.parametrize(
    "normalise",
    [
        layers.UnitNormalization(),
        lambda x: keras.ops.normalize(x, axis=(1, 2), epsilon=1e-3),
        lambda x: keras.ops.normalize(x, order=2, epsilon=1e-30),
    ],
)
def test_vectors_of_zeros_are_normalised_without_the_inverse_root_of_zero(normalise: Callable[[Any], Any]) -> None:
    model = classifier(lambda x: normalise(layers.ReLU()(layers.Conv2D(4, 3)(x))))
    made = folded(model)
    (layer,) = (layer for layer in made.layers if type(layer).__name__ == "UnitLength")
    zeros = np.zeros((1, 2, 2, 4), np.float32)
    assert not np.any(layer(zeros))
    with tf.GradientTape() as tape:  # finite only if there is no inverse square root of zero
        values = tf.constant(zeros)
        tape.watch(values)
        total = tf.reduce_sum(layer(values))
    assert np.isfinite(tape.gradient(total, values)).all()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()


def test_a_normalisation_of_another_order_stays() -> None:
    model = classifier(lambda x: keras.ops.normalize(layers.Conv2D(4, 3)(x), order=1))
    assert "UnitLength" not in kinds(folded(model))
