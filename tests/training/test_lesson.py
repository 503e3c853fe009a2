"""The targets of a student: the teachers' probabilities on the views on which it is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.conftest import PhotoFolder
from zoo import ImageSpec, Recipe
from zoo.data import TRAIN, VAL, ImageData, load_data
from zoo.data.loose import load_unlabelled
from zoo.training.batches import TrainingBatches
from zoo.training.features import FeatureBatches, compute_features
from zoo.training.lesson import Lesson, Teacher, compute_lesson
from zoo.training.samples import augmented_samples
from zoo.training.views import show_views

SMALL = ImageSpec(height_px=12, width_px=16)
LARGE = ImageSpec(height_px=24, width_px=20, resize="crop")
VIEWS, SHARE = 3, 0.25
RECIPE = Recipe(augmentation="strong", batch_size=8, teacher_views=VIEWS, teacher_share=SHARE)


def net(spec: ImageSpec, seed: int) -> keras.Model:
    image = keras.Input(spec.input_shape)
    x = keras.layers.AveragePooling2D(4)(image)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(x))
    start = keras.initializers.RandomNormal(stddev=0.5, seed=seed)
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", kernel_initializer=start)(x))


@pytest.fixture
def images(photo_folder: PhotoFolder) -> ImageData:
    """Photos of three classes, followed by four photos without labels."""
    data = load_data(str(photo_folder({"a": 8, "b": 8, "c": 8})), SMALL)
    return data.and_then(load_unlabelled(photo_folder({"new/x": 4}, "more"), SMALL))


@pytest.fixture
def models() -> list[keras.Model]:
    return [net(LARGE, 0), net(SMALL, 1)]


@pytest.fixture
def lesson(images: ImageData, models: list[keras.Model]) -> Lesson:
    training = images.at(images.training)
    orders = [np.array([2, 0, 1]), np.arange(3)]
    teachers = [
        Teacher(lambda model=model: model, training.seen_as(spec), order)
        for model, spec, order in zip(models, (LARGE, SMALL), orders, strict=True)
    ]
    return compute_lesson(teachers, images, RECIPE, SHARE, VIEWS, None)


def test_the_teachers_see_the_views_in_their_own_image_rule(
    images: ImageData, models: list[keras.Model], lesson: Lesson
) -> None:
    training = images.training
    seen = images.at(training).seen_as(LARGE)
    for view in range(VIEWS):
        views = np.full(len(training), view)
        first = models[0](show_views(seen, np.arange(len(training)), views, RECIPE)).numpy()[:, [2, 0, 1]]
        second = models[1](show_views(images, training, views, RECIPE)).numpy()
        np.testing.assert_allclose(lesson.probabilities(training, views), (first + second) / 2, atol=1e-5)
    assert not np.allclose(*(lesson.probabilities(training, np.full(len(training), view)) for view in (0, 1)))


def test_the_report_shows_the_views_that_teachers_or_a_head_saw(images: ImageData) -> None:
    alone = Recipe(augmentation="strong", epochs=0, head_epochs=3, head_views=VIEWS)
    train = images.indices(TRAIN)
    for recipe, taught in ((RECIPE, True), (alone, False)):
        samples = augmented_samples(images, recipe, seed=5, taught=taught)
        assert samples is not None
        assert samples.shape == (4, VIEWS - 1, *SMALL.input_shape)
        for view in range(1, VIEWS):
            np.testing.assert_array_equal(samples[0, view - 1], show_views(images, train[:1], [view], RECIPE)[0])
    assert augmented_samples(images, replace(RECIPE, teacher_views=1), seed=5, taught=True) is None


def test_a_photo_without_a_label_has_the_teachers_probabilities_alone(images: ImageData, lesson: Lesson) -> None:
    batches = TrainingBatches(images, images.training, replace(RECIPE, class_weights="none"), 0, lesson)
    seen: set[int] = set()
    for step in range(batches.steps):
        chosen = batches._order(4)[step * 8 : step * 8 + 8]
        views = (4 + chosen) % VIEWS
        pixels, targets, weights = batches.batch(4, step)
        np.testing.assert_array_equal(pixels, show_views(images, chosen, views, RECIPE))
        taught = lesson.probabilities(chosen, views)
        for image, target, probabilities in zip(chosen.tolist(), targets, taught, strict=True):
            label = np.eye(3)[images.classes[image]]
            expected = probabilities if images.classes[image] < 0 else (1 - SHARE) * label + SHARE * probabilities
            np.testing.assert_allclose(target, expected, atol=1e-6)
        np.testing.assert_allclose(weights, 1, rtol=1e-6)
        seen |= set(chosen.tolist())
    assert seen == set(images.training.tolist())
    assert {images.splits[image] for image in seen} == {TRAIN, "unlabelled"}
    assert not set(images.indices(VAL).tolist()) & seen


def test_a_head_on_features_is_taught_the_same(images: ImageData, models: list[keras.Model], lesson: Lesson) -> None:
    backbone = keras.Model(models[1].inputs[0], keras.layers.Flatten()(models[1].layers[1].output))
    features = compute_features(backbone, images, RECIPE, VIEWS)
    arguments = (images.training, RECIPE, 0, lesson)
    on_features = FeatureBatches(features.data, *arguments, features=features.views)
    on_images = TrainingBatches(images, *arguments)
    for epoch, step in ((0, 0), (5, 1)):
        vectors, targets, weights = on_features.batch(epoch, step)
        pixels, *others = on_images.batch(epoch, step)
        np.testing.assert_array_equal(targets, others[0])
        np.testing.assert_array_equal(weights, others[1])
        np.testing.assert_allclose(vectors, backbone(pixels).numpy(), atol=1e-3)


def test_without_a_label_a_photo_weighs_what_its_target_says(photo_folder: PhotoFolder) -> None:
    data = load_data(str(photo_folder({"a": 4, "b": 16, "c": 8}, "unequal")), SMALL)
    images = data.and_then(load_unlabelled(photo_folder({"x": 4}, "others"), SMALL))
    teachers = [Teacher(lambda: net(SMALL, 1), images.at(images.training), np.arange(3))]
    lesson = compute_lesson(teachers, images, RECIPE, SHARE, VIEWS, None)
    batches = TrainingBatches(images, images.training, replace(RECIPE, batch_size=100), 0, lesson)
    chosen = batches._order(0)
    _, targets, weights = batches.batch(0, 0)
    for image, target, weight in zip(chosen.tolist(), targets, weights, strict=True):
        known = images.classes[image]
        assert weight == pytest.approx(batches.class_weights[known] if known >= 0 else target @ batches.class_weights)
    alone = TrainingBatches(data, data.indices(TRAIN), RECIPE, 0)
    np.testing.assert_array_equal(batches.class_weights, alone.class_weights)


def test_a_file_that_changed_meanwhile_is_named(images: ImageData) -> None:
    from zoo import DataError

    path = Path(images.names[3])
    path.write_bytes(Path(images.names[4]).read_bytes())
    with pytest.raises(DataError, match=path.name):
        images.seen_as(ImageSpec(height_px=40, width_px=40))
