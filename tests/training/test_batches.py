"""Batches are a function of seed, epoch and step, and contain every image once per epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zoo import ImageSpec, Recipe
from zoo.data import TRAIN, ImageData, load_data
from zoo.training.batches import TrainingBatches


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_data("digits", ImageSpec(height_px=16, width_px=16))


def batches(data: ImageData, **fields: object) -> TrainingBatches:
    recipe = replace(Recipe(batch_size=50, augmentation="none", class_weights="none"), **fields)  # type: ignore[arg-type]
    return TrainingBatches(data, data.indices(TRAIN), recipe, seed=5)


def test_every_image_once_an_epoch_in_another_order(data: ImageData) -> None:
    made = batches(data)
    epochs = [np.concatenate([made.batch(epoch, step)[0] for step in range(made.steps)]) for epoch in (0, 1)]
    assert len(epochs[0]) == len(data.indices(TRAIN))
    assert sorted(image.tobytes() for image in epochs[0]) == sorted(image.tobytes() for image in epochs[1])
    assert not np.array_equal(epochs[0], epochs[1])


def test_images_keep_their_labels(data: ImageData) -> None:
    images, targets, weights = batches(data).batch(3, 2)
    label_of = {data.pixels.read([i])[0].tobytes(): data.classes[i] for i in data.indices(TRAIN)}
    assert [label_of[image.tobytes()] for image in images] == targets.argmax(1).tolist()
    assert (weights == 1).all()


def test_the_stream_is_the_batches_in_order_from_any_epoch(data: ImageData) -> None:
    made = batches(data, augmentation="strong", mixup_alpha=0.3)
    stream = made.stream(first_epoch=2)
    places = [(2 + index // made.steps, index % made.steps) for index in range(made.steps + 3)]
    for (epoch, step), batch in zip(places, stream, strict=False):
        assert all(np.array_equal(a, b) for a, b in zip(batch, made.batch(epoch, step), strict=True))
    stream.close()


def test_balanced_weights_make_classes_equal(data: ImageData) -> None:
    train = data.indices(TRAIN)
    chosen = np.concatenate([train[data.classes[train] == 0], train[data.classes[train] == 1][:20]])
    made = TrainingBatches(data, chosen, Recipe(class_weights="balanced"), seed=0)
    totals = [made.class_weights[label] * (data.classes[chosen] == label).sum() for label in (0, 1)]
    assert totals[0] == pytest.approx(totals[1])
