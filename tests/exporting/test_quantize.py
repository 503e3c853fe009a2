"""8 bits: ranges, rounding and equalisation reduce errors, and the 8-bit model predicts like the float model."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from numpy.typing import NDArray

from tests.conftest import draw_photo
from tests.exporting.models import Pixels, answers, classifier, randomise
from zoo.errors import ExportError
from zoo.exporting.fold import fold
from zoo.exporting.graph import Graph
from zoo.exporting.quantize import FakeQuantize, Quantized, quantize, round_weights
from zoo.exporting.quantize.center import center
from zoo.exporting.quantize.distill import Teacher, _Scales, distill
from zoo.exporting.quantize.ending import find_ending, trained_calls
from zoo.exporting.quantize.equalize import Space, best_scale, equalize
from zoo.exporting.quantize.forward import rounded_calls, run
from zoo.exporting.quantize.influence import measure_influence
from zoo.exporting.quantize.ranges import Channels, best_range, choose_ranges, measure_channels, share_steps
from zoo.exporting.quantize.rounding import (
    fake_quantize,
    fake_quantize_scaled,
    round_matrix,
    round_nearest,
    round_to_inputs,
    round_wide_matrix,
    steps,
)
from zoo.image_spec import ImageSpec
from zoo.images import load_image
from zoo.interfaces import Exporter
from zoo.registry import Offer, exporters

SPEC = ImageSpec(height_px=32, width_px=32)
CLASSES = 4


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pixels, NDArray[np.int64]]:
    """Drawn photos of four similar hues, in turn, and their classes."""
    folder = tmp_path_factory.mktemp("photos")
    classes = np.arange(240) % CLASSES
    for number, index in enumerate(classes):
        draw_photo(folder / f"{number:03d}.jpg", 60 + 6 * int(index), number)
    return np.stack([load_image(str(path), SPEC) for path in sorted(folder.iterdir())]), classes


def build() -> keras.Model:
    """A small network of inverted residuals, with all kinds of shared scales that equalisation must respect."""

    def norm(x: Any) -> Any:
        return layers.BatchNormalization(momentum=0.8)(x)

    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = layers.ReLU(6.0)(norm(layers.Conv2D(16, 3, strides=2, padding="same", name="stem")(x)))
    x = shortcut = norm(layers.Conv2D(16, 1, name="narrow")(x))
    x = layers.ReLU()(norm(layers.Conv2D(32, 1, name="expand")(x)))
    x = layers.ReLU(6.0)(norm(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(layers.ZeroPadding2D(1)(x))))
    x = norm(layers.Conv2D(16, 3, name="project")(layers.Cropping2D(1)(x)))
    x = layers.ZeroPadding2D(1)(x)
    x = layers.MaxPooling2D()(layers.Add()([shortcut, x]))
    x = layers.ReLU()(layers.Conv2D(48, 1, name="top")(x))
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="probabilities")(x))


@pytest.fixture(scope="module")
def trained(photos: tuple[Pixels, NDArray[np.int64]]) -> keras.Model:
    """A model that was fitted to the photos, so that its predictions are confident. Tests must not change it."""
    images, classes = photos
    keras.utils.set_random_seed(0)
    model = build()
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="sparse_categorical_crossentropy")
    model.fit(images.astype("float32"), classes, batch_size=24, epochs=8, verbose=0)
    assert (answers(model, images).argmax(axis=1) == classes).mean() > 0.9
    return model


def agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float((one.argmax(axis=1) == other.argmax(axis=1)).mean())


# All steps together


@pytest.fixture(scope="module")
def found(trained: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]) -> Quantized:
    """The quantised model, calibrated on every second photo."""
    return quantize(fold(trained), photos[0][::2], 0.98)


@pytest.fixture(scope="module")
def quantized(found: Quantized) -> keras.Model:
    return found.model


def test_int8_agrees_with_the_float_model_on_photos_without_calibration(
    trained: keras.Model, quantized: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]
) -> None:
    others = photos[0][1::2]
    before, after = answers(trained, others), answers(quantized, others)
    assert 0 < np.abs(before - after).max() < 0.1
    assert np.abs(before - after).mean() < 0.005
    assert agreement(before, after) >= 0.98


def test_every_weight_is_one_of_255_values_of_its_output_channel(quantized: keras.Model) -> None:
    checked = 0
    for layer in quantized.layers:
        if not hasattr(layer, "kernel"):
            continue
        kernel = np.asarray(layer.kernel)
        # Output channels last; a depthwise kernel is (height, width, channels, 1).
        columns = kernel.reshape(-1, kernel.shape[2] if isinstance(layer, layers.DepthwiseConv2D) else kernel.shape[-1])
        steps = columns / (np.abs(columns).max(axis=0) / 127)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
        assert (np.abs(np.round(steps)).max(axis=0) == 127).all()
        checked += 1
    assert checked == 7


def test_pixels_enter_as_they_are_and_probabilities_leave_unrounded(quantized: keras.Model) -> None:
    rounding = [layer for layer in quantized.layers if isinstance(layer, FakeQuantize)]
    assert (rounding[0].low, rounding[0].high) == (0, 255)
    assert isinstance(quantized.layers[1], FakeQuantize)
    assert quantized.layers[-1].name == "probabilities_activation"
    assert all(layer.low <= 0 <= layer.high for layer in rounding)
    values = answers(quantized, np.full((1, *SPEC.input_shape), 77, np.uint8)) * 255
    assert np.abs(values - values.round()).max() > 0.01


def test_averages_of_stored_values_are_stored_in_the_same_steps(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    def body(x: Any) -> Any:
        x = layers.Conv2D(8, 3, activation="relu", name="before")(x)
        return layers.Conv2D(8, 1)(layers.AveragePooling2D(2, name="average")(layers.ZeroPadding2D(1)(x)))

    graph = Graph(fold(classifier(body, SPEC.input_shape, CLASSES)))
    images = photos[0][:8]
    ranges = choose_ranges(graph, images, measure_channels(graph, images, rounded_calls(graph)))
    average = next(call for call in ranges if call.name == "average")
    source = average.only_source.only_source
    assert source in ranges
    assert ranges[average] == ranges[source]


@pytest.mark.long
def test_the_same_photos_give_the_same_weights(
    trained: keras.Model, quantized: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]
) -> None:
    again = quantize(fold(trained), photos[0][::2], 0.98).model
    for one, other in zip(quantized.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    ranges = [
        [(layer.low, layer.high) for layer in model.layers if isinstance(layer, FakeQuantize)]
        for model in (quantized, again)
    ]
    assert ranges[0] == ranges[1]


def test_the_model_that_was_trained_is_left_alone(
    trained: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]
) -> None:
    before = [np.array(weight) for weight in trained.get_weights()]
    quantize(fold(trained), photos[0][:8])
    for weight, was in zip(trained.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)


def test_one_photo_is_enough_to_go_on(trained: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    made = quantize(fold(trained), photos[0][:1]).model
    assert np.isfinite(answers(made, photos[0][:4])).all()


def test_the_result_of_a_comparison_is_not_stored_in_8_bits(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    def body(x: Any) -> Any:
        x = layers.Conv2D(8, 3, strides=2, name="first")(x)
        return layers.Conv2D(8, 3, name="second")(keras.ops.where(x > 0, x, 0.1 * x))

    model = classifier(body, SPEC.input_shape)
    found = quantize(fold(model), photos[0][:48]).model
    others = photos[0][48:96]
    assert agreement(answers(model, others), answers(found, others)) > 0.9
    assert {"first_8bit", "second_8bit"} <= {layer.name for layer in found.layers}
    assert not [layer.name for layer in found.layers if layer.name.startswith("greater") and "8bit" in layer.name]


def test_photos_for_which_a_model_returns_no_number_are_counted(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    def body(x: Any) -> Any:
        x = x - keras.ops.mean(x, axis=(1, 2, 3), keepdims=True)
        length = keras.ops.sqrt(keras.ops.mean(x * x, axis=(1, 2, 3), keepdims=True))
        return layers.Conv2D(4, 3)(x / length)  # 0 / 0 for a blank photo

    images = photos[0][:6].copy()
    images[2] = 128
    with pytest.raises(ExportError, match="not numbers for 1 of 6 calibration images"):
        quantize(fold(classifier(body, SPEC.input_shape)), images)


def test_a_quantized_model_can_be_kept_as_a_keras_file(
    quantized: keras.Model, photos: tuple[Pixels, NDArray[np.int64]], tmp_path: Path
) -> None:
    quantized.save(tmp_path / "quantized.keras")
    again = keras.models.load_model(tmp_path / "quantized.keras", compile=False)
    np.testing.assert_array_equal(answers(again, photos[0][:4]), answers(quantized, photos[0][:4]))


def test_a_tensor_times_a_number_is_stored_in_8_bits_too(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.Conv2D(8, 3, activation="relu")(image * (1 / 255)) * 2.0
    scores = layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, layers.Activation("softmax", name="probabilities")(scores))
    pixels = photos[0][:32]
    expected = answers(model, pixels)
    found = quantize(fold(model), pixels, 0.0)
    assert any(isinstance(layer, FakeQuantize) for layer in found.model.layers)
    assert np.abs(answers(found.model, pixels) - expected).max() < 0.1


def test_layers_that_augment_leave_the_images_alone_that_ranges_are_measured_on(
    photos: tuple[Pixels, NDArray[np.int64]],
) -> None:
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.RandomRotation(0.2)(layers.RandomBrightness(0.5)(layers.RandomFlip()(image)))
    x = layers.Pipeline([layers.RandomZoom(0.3), layers.RandomInvert(1.0)])(x)
    x = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 255)(x))
    x = layers.Dense(CLASSES, activation="softmax", name="probabilities")(layers.Flatten()(x))
    model = randomise(keras.Model(image, x))
    pixels = photos[0][:32]
    found = quantize(fold(model), pixels)
    assert found.calibrated.divergence < 1e-3
    np.testing.assert_allclose(answers(found.model, pixels), answers(model, pixels), atol=0.02)


def test_fake_quantize_rounds_to_256_values_with_zero_among_them() -> None:
    layer = FakeQuantize(-0.99, 3.0)
    values = np.asarray(layer(np.linspace(-5, 5, 5001, dtype=np.float32)))
    found = np.unique(values)
    assert len(found) == 256
    assert 0 in found
    assert found[-1] - found[0] == pytest.approx(3.99, abs=1e-5)
    again = FakeQuantize.from_config(layer.get_config())
    assert (again.low, again.high, again.name) == (layer.low, layer.high, layer.name)


# Equalisation


def spread(model: keras.Model, factor: float) -> keras.Model:
    """A model with the same outputs whose channel ranges differ by up to ``factor``, which is bad for 8 bits."""
    made = keras.models.clone_model(model)
    made.set_weights(model.get_weights())
    scale = np.geomspace(1, factor, 48).astype(np.float32)
    kernel, bias = made.get_layer("top").get_weights()
    made.get_layer("top").set_weights([kernel * scale, bias * scale])
    kernel, bias = made.get_layer("probabilities").get_weights()
    made.get_layer("probabilities").set_weights([kernel / scale[:, None], bias])
    return made


def equalized(model: keras.Model, images: Pixels) -> tuple[keras.Model, keras.Model]:
    """The folded model, and the same model with shifted and scaled channels."""
    before = fold(model)
    graph = Graph(fold(model))
    channels = measure_channels(graph, images, rounded_calls(graph))
    center(graph, channels)
    equalize(graph, channels)
    return before, graph.rebuild()


def test_equalisation_changes_weights_but_no_prediction(
    trained: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]
) -> None:
    images = photos[0][:64]
    before, after = equalized(trained, images)
    # No value is clipped by a capped ReLU, not even the largest of all images.
    assert np.abs(answers(after, images) - answers(before, images)).max() < 1e-5
    changed = {
        layer.name
        for layer, other in zip(before.layers, after.layers, strict=True)
        if hasattr(layer, "kernel") and not np.allclose(layer.kernel, other.kernel)
    }
    assert {"expand", "depthwise", "project", "top", "probabilities"} <= changed


def test_channels_of_very_different_ranges_cost_nothing(
    trained: keras.Model, quantized: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]
) -> None:
    uneven = spread(trained, 256)
    np.testing.assert_allclose(answers(uneven, photos[0][:8]), answers(trained, photos[0][:8]), atol=1e-4)
    made = quantize(fold(uneven), photos[0][::2]).model
    others = photos[0][1::2]
    expected = answers(trained, others)
    assert agreement(answers(made, others), expected) >= 0.98
    uneven_error, even_error = (np.abs(answers(model, others) - expected).mean() for model in (made, quantized))
    assert uneven_error < 3 * even_error  # eight times as large without equalisation


@pytest.mark.parametrize(
    "body",
    [
        lambda x: layers.Activation("sigmoid")(layers.Conv2D(8, 1)(x)),
        lambda x: layers.ReLU(negative_slope=0.1)(layers.Conv2D(8, 1)(x)),
        lambda x: layers.ReLU(threshold=0.5)(layers.Conv2D(8, 1)(x)),
        lambda x: layers.Multiply()([layers.Conv2D(8, 1)(x), layers.Conv2D(8, 1)(x)]),
        lambda x: layers.Concatenate()([layers.ReLU()(layers.Conv2D(4, 1)(x)), layers.Conv2D(4, 1)(x)]),
        lambda x: layers.ReLU()(layers.DepthwiseConv2D(3, depth_multiplier=2)(layers.ReLU()(layers.Conv2D(4, 1)(x)))),
        lambda x: layers.ReLU()(layers.Conv2D(8, 1, groups=2)(layers.ReLU()(layers.Conv2D(4, 1)(x)))),
        lambda x: layers.ReLU()(layers.Conv2DTranspose(8, 3)(layers.ReLU()(layers.Conv2D(4, 1)(x)))),
        lambda x: layers.Conv2D(8, 1)(layers.ReLU()(layers.Conv2D(8, 3, name="read_twice")(x))) + 1.0,
        lambda x: layers.AveragePooling2D(2, padding="same")(layers.ReLU()(layers.Conv2D(8, 1)(x))),
    ],
    ids=[
        "sigmoid",
        "leaky",
        "threshold",
        "product",
        "concatenation",
        "multiplier",
        "groups",
        "transposed",
        "operation",
        "pooling with padding",
    ],
)
def test_equalisation_respects_what_cannot_be_scaled(body: Any, photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.ReLU()(layers.Conv2D(6, 3)(layers.Rescaling(1 / 127.5, -1)(image)))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 1)(body(x)))
    model = randomise(keras.Model(image, layers.Dense(4, activation="softmax")(x)))
    images = photos[0][:32]
    before, after = equalized(model, images)
    np.testing.assert_allclose(answers(after, images), answers(before, images), rtol=0, atol=1e-5)


def test_a_cap_is_not_scaled(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.ReLU(1.0)(layers.Conv2D(8, 3)(layers.Rescaling(1 / 127.5, -1)(image)))
    x = layers.GlobalAveragePooling2D()(layers.ReLU(1.0)(layers.Conv2D(8, 1)(x)))
    model = randomise(keras.Model(image, layers.Dense(4, activation="softmax")(x)))
    before, after = equalized(model, photos[0][:32])
    np.testing.assert_allclose(answers(after, photos[0]), answers(before, photos[0]), rtol=0, atol=2e-3)
    rounding = [
        layer for layer in quantize(fold(model), photos[0][:32]).model.layers if isinstance(layer, FakeQuantize)
    ]
    capped = [layer.high for layer in rounding if layer.name.startswith("re_lu")]
    assert len(capped) == 2
    assert max(capped) < 1.0001


def test_the_influence_of_a_channel_says_what_noise_in_it_does_to_the_logits(
    photos: tuple[Pixels, NDArray[np.int64]],
) -> None:
    images = photos[0][:16]
    graph = Graph(fold(residual()))
    _, logits = find_ending(graph)
    calls = {call.name: call for call in graph.calls}
    influence = measure_influence(graph, images, [calls["first_sum"]])[calls["first_sum"]]
    random = np.random.default_rng(0)

    def scores(size: float) -> NDArray[np.float32]:
        found = {}

        def visit(call: Any, values: list[Any]) -> Any:
            value = call.invoke(call.operation, values)
            if call.name == "first_sum":
                value = value + random.normal(0, size, value.shape).astype(np.float32)
            if call is logits:
                found["scores"] = np.asarray(value) - np.asarray(value).mean(axis=1, keepdims=True)
            return value

        run(graph, keras.ops.convert_to_tensor(images, "float32"), visit)
        return np.asarray(found["scores"])

    exact = scores(0.0)
    moved = np.mean([np.square(scores(1e-3) - exact).mean() for _ in range(30)]) / 1e-6
    assert influence.sum() == pytest.approx(moved, rel=0.25)


def test_tensors_that_share_a_scale_get_the_one_that_serves_all() -> None:
    """The ranges of the channels differ most in the first tensor, and the noise of this tensor matters most."""
    random = np.random.default_rng(0)
    base = np.exp(random.normal(0, 0.3, 16))
    spreads = [np.exp(random.normal(0, size, 16)) for size in (0.8, 0.3)]
    reaches = np.stack([base * spreads[0], 3 * base * spreads[1]])
    influences = np.exp(random.normal(0, 1, (2, 16))) * [[10], [1]]
    seen = [Channels(-reach, reach, 0 * reach, reach**2 / 9) for reach in reaches]
    layer = layers.Dense(3)
    layer.build((None, 16))
    calls = [Graph(keras.Sequential([keras.Input((8, 8, 3)), layers.ReLU()])).calls[0] for _ in range(2)]
    user = Graph(keras.Sequential([keras.Input((16,)), layer])).calls[-1]
    space = Space(calls=calls, users=[user])
    known = dict(zip(calls, influences, strict=True)) | {user: np.full(3, 1e-9)}
    scale = best_scale(space, dict(zip(calls, seen, strict=True)), known)

    def noise(scale: NDArray[np.float64]) -> float:
        return float(((scale * reaches).max(axis=1) ** 2 * (influences / scale**2).sum(axis=1)).sum())

    reach = reaches.max(axis=0)
    usual = min(noise((reach.max() / reach) ** power) for power in np.linspace(0, 1, 11))
    assert noise(scale) < 0.7 * usual


def test_a_few_scores_are_stored_with_room_for_larger_ones(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    graph = Graph(fold(residual()))
    images = photos[0][:32]
    channels = measure_channels(graph, images, rounded_calls(graph))
    scores = find_ending(graph)[1]
    low, high = choose_ranges(graph, images, channels)[scores]
    assert low < channels[scores].low.min()
    assert high > channels[scores].high.max()


# Centring


def residual(offset: float = 0.0) -> keras.Model:
    """Two sums of linear tensors whose channels are shifted by ``offset``, which does not change the outputs."""
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.ReLU()(layers.Conv2D(16, 3, strides=2, name="stem")(layers.Rescaling(1 / 127.5, -1)(image)))
    x = layers.Conv2D(8, 1, name="base")(x)
    for name in ("first", "second"):
        branch = layers.ReLU()(layers.Conv2D(16, 1, name=f"{name}_expand")(x))
        x = layers.Add(name=f"{name}_sum")([x, layers.Conv2D(8, 1, name=f"{name}_project")(branch)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Conv2D(16, 1, name="top")(x)))
    model = randomise(keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="probabilities")(x)))
    shift = offset * np.linspace(-1, 1, 8).astype(np.float32)
    model.get_layer("base").bias.assign_add(shift)
    for name in ("first_expand", "second_expand", "top"):
        layer = model.get_layer(name)
        layer.bias.assign_sub(shift @ np.asarray(layer.kernel)[0, 0])
    return model


def test_centring_moves_every_tensor_of_a_residual_stream_to_its_middle(
    photos: tuple[Pixels, NDArray[np.int64]],
) -> None:
    images = photos[0][:32]
    model = residual(30.0)
    graph = Graph(fold(model))
    calls = rounded_calls(graph)
    before, channels = (measure_channels(graph, images, calls) for _ in range(2))
    center(graph, channels)
    np.testing.assert_allclose(answers(graph.rebuild(), images), answers(model, images), atol=2e-5)
    after = measure_channels(graph, images, calls)
    stream = [call for call in calls if call.name in ("base", "first_sum", "second_sum")]
    assert len(stream) == 3
    for call in stream:
        assert np.abs(after[call].middle).max() < 0.1 * np.abs(before[call].middle).max()
        for name in ("low", "high", "mean", "square"):  # the statistics of the channels are shifted too
            np.testing.assert_allclose(getattr(channels[call], name), getattr(after[call], name), rtol=0, atol=0.01)


def test_channels_far_from_zero_cost_nothing(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    images, others = photos[0][:32], photos[0][32:96]
    expected = answers(residual(), others)
    even, uneven = (
        float(np.abs(answers(quantize(fold(residual(offset)), images).model, others) - expected).mean())
        for offset in (0.0, 300.0)
    )
    assert uneven < 4 * even  # twenty times as large without centring


def test_padding_is_not_shifted(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.Conv2D(8, 1, name="linear")(layers.ReLU()(layers.Conv2D(8, 3)(layers.Rescaling(1 / 127.5, -1)(image))))
    x = layers.ReLU()(layers.Conv2D(8, 3, padding="same")(x))
    model = randomise(keras.Model(image, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x))))
    before, after = equalized(model, photos[0][:32])
    np.testing.assert_allclose(answers(after, photos[0][:32]), answers(before, photos[0][:32]), rtol=0, atol=1e-5)


# Distillation


def test_the_targets_of_the_original_model_follow_the_scales_of_the_features(
    trained: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]
) -> None:
    images = photos[0][:40]
    graph = Graph(fold(spread(trained, 16)))
    calls = rounded_calls(graph)
    channels = measure_channels(graph, images[:8], calls)
    teacher = Teacher(graph, images, channels)
    before = teacher.expected.features
    center(graph, channels)
    equalize(graph, channels)
    after = teacher.expected
    same = Teacher(graph, images, measure_channels(graph, images, calls)).expected
    assert np.abs(after.features - before).max() > 0.1
    np.testing.assert_allclose(after.features, same.features, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(after.logits, same.logits, rtol=1e-3, atol=1e-4)


def test_learning_from_the_float_model_makes_up_for_what_rounding_shifted(
    trained: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]
) -> None:
    images = photos[0][::2]
    graph = Graph(fold(trained))
    channels = measure_channels(graph, images, rounded_calls(graph))
    ranges = choose_ranges(graph, images, channels)
    teacher = Teacher(graph, images, channels)
    assert len(teacher.images) == 192  # 120 photos, a fifth of which is held out, each unchanged and mirrored
    for call in trained_calls(graph):
        layer = call.operation
        layer.kernel.assign(round_nearest(layer))
        low, high = ranges.get(call) or ranges[call.users[0]]
        layer.bias.assign_add(np.full(layer.bias.shape, 0.5 * (high - low) / 255, np.float32))
    kernels = [np.array(call.operation.kernel) for call in trained_calls(graph)]
    learnt, _ = distill(graph, teacher, ranges, 150)
    assert learnt.kept
    assert learnt.after < 0.5 * learnt.before  # on the held-out photos
    moved = 0.0
    for call, before in zip(trained_calls(graph), kernels, strict=True):
        changed = (np.array(call.operation.kernel) - before) / steps(call.operation)
        np.testing.assert_allclose(changed, np.round(changed), atol=1e-3)  # multiples of a step
        moved += float(np.abs(changed).sum())
    assert moved > 0


def test_ranges_are_learnt_except_those_that_depend_on_others(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    images = photos[0][::2]
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.ReLU(name="stem")(layers.Conv2D(8, 3, strides=2)(layers.Rescaling(1 / 127.5, -1)(image)))
    both = layers.Concatenate(name="both")(
        [layers.Conv2D(4, 1, name="left")(x), layers.MaxPooling2D(1)(layers.Conv2D(4, 1, name="right")(x))]
    )
    x = layers.ReLU(name="behind")(layers.Conv2D(8, 3)(both))
    x = layers.AveragePooling2D(2, name="average")(layers.Conv2D(8, 3, name="averaged")(x))
    x = layers.GlobalAveragePooling2D(name="features")(x)
    graph = Graph(fold(randomise(keras.Model(image, layers.Dense(4, activation="softmax", name="scores")(x)))))
    channels = measure_channels(graph, images, rounded_calls(graph))
    ranges = choose_ranges(graph, images, channels)
    teacher = Teacher(graph, images, channels)
    # The steps are twice as wide as they were chosen.
    wide = {call: (low, high) if call is graph.input else (2 * low, 2 * high) for call, (low, high) in ranges.items()}
    round_weights(graph, images[:16], wide)
    learnt, found = distill(graph, teacher, wide, 60)
    assert learnt.after < 0.8 * learnt.before
    changed = {call.name for call in wide if found[call] != wide[call]}
    assert changed == {"stem", "behind", "features", "scores"}
    for call in wide:
        (low, high), (old_low, old_high) = found[call], wide[call]
        assert round(-255 * low / (high - low)) == round(-255 * old_low / (old_high - old_low))  # zero's level
        if call.name in ("stem", "behind"):
            assert high - low < old_high - old_low


def test_no_range_exceeds_the_cap_of_its_relu(
    photos: tuple[Pixels, NDArray[np.int64]], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = photos[0][:48]
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.Conv2D(4, 3, strides=8)(layers.Rescaling(1 / 127.5, -1)(image))  # so few values that a range has room
    x = layers.GlobalAveragePooling2D()(layers.ReLU(0.2, name="capped")(x))
    graph = Graph(fold(randomise(keras.Model(image, layers.Dense(4, activation="softmax")(x)))))
    channels = measure_channels(graph, images, rounded_calls(graph))
    teacher = Teacher(graph, images, channels)
    ranges = choose_ranges(graph, images, channels)
    (capped,) = (call for call in ranges if call.name == "capped")
    assert 0.199 < ranges[capped][1] <= 0.2 * (1 + 1e-6)
    round_weights(graph, images, ranges)
    monkeypatch.setattr(import_module("zoo.exporting.quantize.distill"), "_RATE_OF_STEPS", 20.0)
    _, found = distill(graph, teacher, ranges | {capped: (0.0, 0.1)}, 30)
    assert 0.1 < found[capped][1] <= 0.2 * (1 + 1e-6)


def test_the_cap_of_a_leaky_relu_limits_only_its_end(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    images = photos[0][:16]
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.Conv2D(4, 3)(layers.Rescaling(1 / 127.5, -1)(image))
    x = layers.GlobalAveragePooling2D()(layers.ReLU(0.2, negative_slope=0.5, name="leaky")(x))
    graph = Graph(fold(randomise(keras.Model(image, layers.Dense(4, activation="softmax")(x)))))
    ranges = choose_ranges(graph, images, measure_channels(graph, images, rounded_calls(graph)))
    (leaky,) = (call for call in ranges if call.name == "leaky")
    assert ranges[leaky][0] < -0.1
    scales = _Scales(ranges)
    assert scales.ranges[leaky] == pytest.approx(ranges[leaky], rel=0.02)  # zero becomes one of the levels
    for change in scales.variables:
        change.assign(5.0)
    assert scales.ranges[leaky][1] == pytest.approx(0.2, rel=1e-6)


def test_a_tensor_behind_the_logits_keeps_its_range(photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    images = photos[0][:48]
    image = keras.Input(SPEC.input_shape, name="image")
    x = layers.ReLU(name="stem")(layers.Conv2D(8, 3, strides=4)(layers.Rescaling(1 / 127.5, -1)(image)))
    x = layers.ReLU(name="scores")(layers.Conv2D(4, 1)(x))  # as in SqueezeNet
    x = layers.Softmax()(layers.GlobalAveragePooling2D(name="mean")(x))
    graph = Graph(fold(randomise(keras.Model(image, x))))
    channels = measure_channels(graph, images, rounded_calls(graph))
    ranges = choose_ranges(graph, images, channels)
    teacher = Teacher(graph, images, channels)
    wide = {call: (low, high) if call is graph.input else (low, 2 * high) for call, (low, high) in ranges.items()}
    round_weights(graph, images[:16], wide)
    learnt, found = distill(graph, teacher, wide, 20)
    assert learnt.kept
    changed = {call.name for call in wide if not np.allclose(found[call], wide[call], rtol=1e-6)}
    assert changed == {"stem"}


def test_the_gradient_of_a_step_is_the_rounding_error_or_the_limit() -> None:
    import tensorflow as tf

    values = tf.constant([-9.0, -0.3, 0.2, 0.9, 200.0])
    step = tf.Variable(0.5)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        rounded = fake_quantize_scaled(values, step, 10)
    np.testing.assert_allclose(rounded, [-5.0, -0.5, 0.0, 1.0, 122.5])
    np.testing.assert_array_equal(rounded, fake_quantize(values, -5.0, 122.5))
    np.testing.assert_array_equal(tape.gradient(rounded, values), [0, 1, 1, 1, 0])
    assert float(tape.gradient(rounded, step)) == pytest.approx(-10 + (-0.2 - 0.2 + 0.1) / 0.5 + 245)


def test_what_was_learnt_is_recorded(found: Quantized) -> None:
    assert found.distilled is not None
    assert found.as_dict()["distilled"] == {
        "images": 192,
        "steps": 150,
        "before": found.distilled.before,
        "after": found.distilled.after,
        "kept": found.distilled.after < found.distilled.before,
    }


def test_what_each_tensor_costs_is_recorded(found: Quantized) -> None:
    noise = found.as_dict()["noise"]
    assert {"stem_activation", "project", "features"} & {tensor["name"] for tensor in noise}
    assert sum(tensor["after"] for tensor in noise) < sum(tensor["before"] for tensor in noise)


@pytest.mark.parametrize("classes", [2, 5, 6])
def test_every_part_of_alternating_classes_has_all_of_them(classes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Pixels] = {}

    def see_rounded(graph: Graph, images: Pixels, ranges: Any) -> None:
        seen["rounded"] = images

    def see_learnt(graph: Graph, teacher: Teacher, ranges: Any, *rest: Any) -> tuple[None, Any]:
        seen.update(taught=teacher.images, held_out=teacher.held_out)
        return None, ranges

    monkeypatch.setattr(import_module("zoo.exporting.quantize"), "round_weights", see_rounded)
    monkeypatch.setattr(import_module("zoo.exporting.quantize"), "distill", see_learnt)
    image = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(layers.Rescaling(1 / 255)(image)))
    model = randomise(keras.Model(image, layers.Dense(classes, activation="softmax")(x)))
    which = np.arange(200) % classes
    quantize(fold(model), np.broadcast_to(which[:, None, None, None], (200, 8, 8, 3)).astype(np.uint8))
    for part in ("rounded", "taught", "held_out"):
        counts = np.bincount(seen[part][:, 0, 0, 0], minlength=classes)
        assert counts.min() > 0, part


def test_few_photos_are_not_learnt_from(trained: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]) -> None:
    made = quantize(fold(trained), photos[0][:39])
    assert made.distilled is None
    assert made.as_dict()["distilled"] is None


@pytest.mark.long
def test_a_lesson_that_does_not_help_is_forgotten(
    trained: keras.Model, photos: tuple[Pixels, NDArray[np.int64]], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = photos[0][:40]
    monkeypatch.setattr(import_module("zoo.exporting.quantize.distill"), "_LEARNING_RATE", 30.0)
    spoilt = quantize(fold(trained), images)
    assert spoilt.distilled is not None
    assert spoilt.distilled.images == 64  # 40 photos are enough for distillation
    assert not spoilt.distilled.kept
    monkeypatch.setattr(
        import_module("zoo.exporting.quantize.distill"), "_train", lambda graph, teacher, ranges, *rest: ranges
    )
    for one, other in zip(spoilt.model.get_weights(), quantize(fold(trained), images).model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# Tensors that need more than 8 bits


@pytest.fixture(scope="module")
def loud(trained: keras.Model) -> keras.Model:
    """A model with nearly the same outputs and a tensor in which one channel is much larger than the others."""
    x = trained.layers[-3].output
    assert trained.layers[-2].name == "features"
    shout = layers.Conv2D(1, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(500), name="shout")
    both = layers.Concatenate(name="both")([x, shout(x)])
    mix = layers.Conv2D(48, 1, use_bias=False, name="mix")
    x = layers.GlobalAveragePooling2D()(mix(both))
    mix.set_weights([np.concatenate([np.eye(48), np.full((1, 48), 1e-6)])[None, None]])
    head = trained.layers[-1]
    dense = layers.Dense(CLASSES, activation="softmax", name="probabilities")
    model = keras.Model(trained.input, dense(x))
    dense.set_weights(head.get_weights())
    return model


@pytest.fixture(scope="module")
def sparing(loud: keras.Model, photos: tuple[Pixels, NDArray[np.int64]]) -> tuple[Quantized, list[str]]:
    """Result and messages of keeping a tensor in float. So few photos are not used for distillation, which is slow."""
    told: list[str] = []
    return quantize(fold(loud), photos[0][:39], 0.98, told.append), told


def test_a_tensor_that_changes_predictions_stays_in_float_and_is_named(
    loud: keras.Model, sparing: tuple[Quantized, list[str]], photos: tuple[Pixels, NDArray[np.int64]]
) -> None:
    found, said = sparing
    images, others = photos[0][:39], photos[0][120:]
    expected = answers(loud, others)
    ruined = quantize(fold(loud), images)
    assert agreement(answers(ruined.model, others), expected) < 0.9
    assert ruined.in_float == ()
    assert agreement(answers(found.model, others), expected) >= 0.98
    (spared,) = found.in_float
    assert spared.name == "both"
    assert spared.after.divergence < spared.before.divergence / 10
    assert spared.extra_bytes == 3 * 49 * 48
    assert found.calibrated.agreement >= 0.98
    assert any(line.startswith("both stays in float32") for line in said)


def test_nothing_stays_in_float_without_need(found: Quantized) -> None:
    assert found.in_float == ()
    assert found.calibrated.agreement >= 0.98


@pytest.mark.parametrize("offer", list(exporters()), ids=lambda offer: offer.record.name)
def test_every_format_can_leave_a_tensor_in_float(
    offer: Offer[Exporter],
    sparing: tuple[Quantized, list[str]],
    photos: tuple[Pixels, NDArray[np.int64]],
    tmp_path: Path,
) -> None:
    exporter = offer.record
    prepared = sparing[0].model
    exporter.convert(prepared, tmp_path / f"loud{exporter.suffix}", "int8")
    found = exporter.load(tmp_path / f"loud{exporter.suffix}", 1).predict(photos[0][:16])
    np.testing.assert_allclose(found, answers(prepared, photos[0][:16]), rtol=0, atol=0.02)


# Ranges


def histogram(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.int64]:
    return np.histogram(values, 2048, (low, high))[0].astype(np.int64)


def lost(values: NDArray[np.float64], low: float, high: float) -> float:
    """Mean squared error if values are stored in 256 steps from low to high."""
    step = (high - low) / 255
    stored = np.clip(np.round(values / step) * step, low, high)
    return float(((values - stored) ** 2).mean())


def test_a_range_that_is_used_evenly_is_kept() -> None:
    values = np.random.default_rng(0).uniform(-2, 6, 100_000)
    low, high = best_range(histogram(values, -2, 6), -2, 6)
    assert (low, high) == pytest.approx((-2, 6), abs=0.1)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_few_values_far_out_are_clipped(sign: int) -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(0, 0.2, 1_000_000), [8.0]])
    values = sign * np.clip(values, -1, 8)
    ends = (-1.0, 8.0) if sign > 0 else (-8.0, 1.0)
    low, high = best_range(histogram(values, *ends), *ends)
    assert max(high, -low) < 5
    assert min(high, -low) > 0.5
    assert lost(values, low, high) < 0.7 * lost(values, *ends)


def test_a_range_always_holds_zero() -> None:
    values = np.random.default_rng(0).uniform(3, 4, 10_000)
    low, high = best_range(histogram(values, 0, 4), 0, 4)
    assert low == 0
    assert high > 3.5


def test_a_tensor_that_all_but_vanishes_has_no_finer_steps_than_what_is_summed(
    photos: tuple[Pixels, NDArray[np.int64]], tmp_path: Path
) -> None:
    image = keras.Input(SPEC.input_shape, name="image")
    read = layers.Conv2D(8, 3, strides=2, activation="relu", name="read")
    x = shortcut = layers.Conv2D(8, 1, name="vanishing")(read(image))
    x = layers.Conv2D(8, 1, name="vanishing_too")(layers.Conv2D(8, 1, activation="relu")(x))
    x = layers.Conv2D(8, 1)(layers.Add(name="sum")([shortcut, x]))
    x = layers.GlobalAveragePooling2D()(layers.Activation("relu")(x))
    model = randomise(keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="probabilities")(x)))
    # Its output is the same for all photos, so nothing is left after centring.
    read.set_weights([read.kernel * 1e-12, np.ones(8)])
    pixels = photos[0][:8]
    graph = Graph(fold(model))
    channels = measure_channels(graph, pixels, rounded_calls(graph))
    center(graph, channels)
    ranges = {call.name: high - low for call, (low, high) in choose_ranges(graph, pixels, channels).items()}
    summed = steps(model.get_layer("vanishing")).max() * ranges["read_activation"]
    assert ranges["vanishing"] >= summed * (1 - 1e-6)
    assert ranges["sum"] >= min(ranges["vanishing"], ranges["vanishing_too"]) * (1 - 1e-6)
    # LiteRT ends the process if steps are 256 times finer.
    tflite = exporters().get("tflite")
    tflite.convert(quantize(fold(model), pixels).model, tmp_path / "made.tflite", "int8")
    assert np.isfinite(tflite.load(tmp_path / "made.tflite", 1).predict(pixels)).all()


def test_concatenations_that_join_one_tensor_share_its_steps_and_an_average_of_it_does() -> None:
    image = keras.Input((8, 8, 3))
    x = layers.Conv2D(2, 1, name="first")(image)
    one = layers.Concatenate(name="one")([x, layers.Conv2D(2, 1, name="second")(x)])
    two = layers.Concatenate(name="two")([x, layers.MaxPooling2D(1)(layers.Conv2D(2, 1, name="third")(image))])
    average = layers.AveragePooling2D(2, name="average")(x)
    apart = layers.Conv2D(2, 1, name="apart")(average)
    joined = [layers.AveragePooling2D(2)(one), layers.AveragePooling2D(2)(two), average, apart]
    graph = Graph(keras.Model(image, layers.Concatenate(name="joined")(joined)))
    calls = {call.name: call for call in rounded_calls(graph)}
    ranges = {call: (-1.0 - place, 9.0 - place) for place, call in enumerate(calls.values())}
    shared = share_steps(ranges)
    lows, highs = zip(ranges[calls["one"]], ranges[calls["two"]], strict=True)
    whole = (min(lows), max(highs))
    assert {shared[calls[name]] for name in ("first", "second", "third", "one", "two", "average")} == {whole}
    assert shared[calls["image"]] == ranges[calls["image"]]


def test_a_tensor_that_is_zero_everywhere_has_a_range_too() -> None:
    low, high = best_range(histogram(np.zeros(1000), 0, 1e-6), 0, 1e-6)
    assert low <= 0 < high


# Rounding


def test_rounding_by_inputs_beats_rounding_to_the_nearest() -> None:
    random = np.random.default_rng(0)
    # Inputs like those of real layers: correlated, and not centred.
    rows = (random.normal(size=(2000, 24)) @ random.normal(size=(24, 96)) + 1.0).clip(0).astype(np.float32)
    weights = random.normal(0, 0.1, (96, 16)).astype(np.float32)
    rounded = round_matrix(weights, rows)
    steps = np.abs(weights).max(axis=0) / 127
    nearest = np.round(weights / steps) * steps
    errors = [np.square(rows @ (weights - found)).mean(axis=0) for found in (rounded, nearest)]
    assert errors[0].sum() < 0.5 * errors[1].sum()
    assert (errors[0] < errors[1]).mean() > 0.9
    # The step can be derived from the weights, because the largest weight of every output is 127 steps.
    found = rounded / (np.abs(rounded).max(axis=0) / 127)
    np.testing.assert_allclose(found, np.round(found), atol=1e-6)
    assert (np.abs(np.round(found)).max(axis=0) == 127).all()
    assert np.abs(rounded - weights).max() < 0.1


@pytest.mark.parametrize("rounding", [round_matrix, round_wide_matrix])
@pytest.mark.parametrize("rows", [np.zeros((10, 5)), np.ones((10, 5)), np.eye(5)[:1]], ids=["dark", "equal", "one"])
def test_rounding_survives_inputs_that_say_nothing(rows: NDArray[np.float64], rounding: Any) -> None:
    weights = np.random.default_rng(0).normal(0, 1, (5, 3)).astype(np.float32)
    weights[:, 1] = 0
    rounded = rounding(weights, rows.astype(np.float32))
    assert np.isfinite(rounded).all()
    assert np.abs(rounded - weights).max() < 0.6
    assert np.abs(rounded[:, 1]).max() < 1e-9


def test_a_dense_layer_on_a_whole_picture_is_rounded_by_its_inputs_too() -> None:
    """The matrix of 50176 inputs, as in simple_cnn at 224 px, would take 20 GB."""
    dense = layers.Dense(3)
    random = np.random.default_rng(0)
    rows = (random.normal(size=(16, 4)) @ random.normal(size=(4, 6000)) + 1).clip(0).astype(np.float32)
    dense.build(rows.shape)
    expected = rows @ np.asarray(dense.kernel)
    nearest, rounded = round_nearest(dense), round_to_inputs(dense, rows)
    assert np.square(rows @ rounded - expected).sum() < 0.01 * np.square(rows @ nearest - expected).sum()
    stored = rounded / (np.abs(rounded).max(axis=0) / 127)
    np.testing.assert_allclose(stored, np.round(stored), atol=1e-3)


def test_many_inputs_are_rounded_as_few_are() -> None:
    random = np.random.default_rng(0)
    rows = (random.normal(size=(20, 8)) @ random.normal(size=(8, 1500)) + 1).clip(0).astype(np.float32)
    weights = random.normal(0, 0.1, (1500, 4)).astype(np.float32)
    wide, narrow = round_wide_matrix(weights, rows), round_matrix(weights, rows)
    np.testing.assert_allclose(wide, narrow, rtol=0, atol=1e-9)


@pytest.mark.parametrize("rounding", [round_matrix, round_wide_matrix])
def test_a_weight_that_reads_next_to_nothing_does_not_take_the_steps(rounding: Any) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(1, 1, (30, 400)).clip(0).astype(np.float32)
    weights = random.normal(0, 0.1, (400, 2)).astype(np.float32)
    rows[:, 7] *= 1e-5
    weights[7, 0] = -300
    rounded = rounding(weights, rows)
    assert rounded[7, 0] < -0.2
    assert np.abs(rows @ (rounded - weights)).max() < 0.01 * np.abs(rows @ weights).max()


@pytest.mark.parametrize("rounding", [round_matrix, round_wide_matrix])
def test_a_weight_keeps_its_size_where_8_bits_hide_what_it_reads(rounding: Any) -> None:
    """If one input is very large, the others are stored as 0, but they are not 0 if the tensor stays in float."""
    rows = np.zeros((24, 49), np.float32)
    rows[:, 48] = np.random.default_rng(0).uniform(5_000, 10_000, 24)
    weights = np.concatenate([np.eye(48), np.full((1, 48), 1e-6)]).astype(np.float32)
    np.testing.assert_allclose(np.diag(rounding(weights, rows)), 1)
