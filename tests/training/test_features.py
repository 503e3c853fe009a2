"""Features of a frozen backbone in the cache."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from tests.conftest import PhotoFolder
from zoo.data import load_data
from zoo.image_spec import ImageSpec
from zoo.recipe import Recipe
from zoo.training.features import compute_features


def test_damaged_features_are_computed_again(photo_folder: PhotoFolder, own_cache: Path) -> None:
    data = load_data(str(photo_folder({"a": 6, "b": 6})), ImageSpec(height_px=20, width_px=24))
    inputs = keras.Input((20, 24, 3))
    backbone = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    recipe = Recipe()
    before = {path.stem for path in (own_cache / "images").glob("*.u8")}
    features = compute_features(backbone, data, recipe, views=2)
    expected = [view.read(range(12)) for view in features.views]
    assert features.damaged == 0
    del features  # a mapped segment is not checked again
    segments = [path for path in (own_cache / "images").glob("*.u8") if path.stem not in before]
    assert len(segments) == 2
    for segment in segments:
        segment.write_bytes(b"\xff" * segment.stat().st_size)  # each a NaN
    again = compute_features(backbone, data, recipe, views=2)
    trained_on = len({data.contents[index] for index in data.indices("train")})
    assert again.damaged == 12 + trained_on
    for view, values in zip(again.views, expected, strict=True):
        np.testing.assert_array_equal(view.read(range(12)), values)
