"""Predictions are printed in order, and memory does not grow with the number of images."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import draw_photo
from tests.images.test_listen import half_gray
from zoo.edge.classify import Classifier
from zoo.exported import TensorInfo
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, load_image
from zoo.workflows.stream import in_batches, one_by_one

if TYPE_CHECKING:
    from zoo.edge.sources import Picture

SPEC = ImageSpec(height_px=32, width_px=32)


class MeanColour:
    """A runtime that predicts like a model with one layer: each channel's share of the brightness."""

    inputs = (TensorInfo(name="image", shape=(None, 32, 32, 3), dtype="uint8"),)
    outputs = (TensorInfo(name="probabilities", shape=(None, 3), dtype="float32"),)
    largest = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.largest = max(self.largest, len(images))
        sums = images.sum((1, 2)) + 1.0
        return np.asarray(sums / sums.sum(1, keepdims=True), np.float32)


def classifier() -> Classifier:
    return Classifier(MeanColour(), SPEC, ("red", "green", "blue"))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(12)]
    for number, path in enumerate(paths):
        draw_photo(path, hue=15 * number, seed=number)
    paths[4].write_bytes(b"no picture")
    paths[7].unlink()
    draw_photo(paths[9].with_suffix(".jpg"), hue=9, seed=9)
    paths[9].write_bytes(half_gray(paths[9].with_suffix(".jpg").read_bytes()))
    return paths


@pytest.mark.parametrize("way", ["one by one", "in batches"])
def test_predictions_are_in_the_order_of_the_pictures(photos: list[Path], way: str) -> None:
    pictures: list[tuple[str, Picture]] = [(path.name, path) for path in photos]
    pictures.insert(2, ("listed", ImageError("no permission")))
    if way == "one by one":
        found = list(one_by_one([classifier() for _ in range(3)], iter(pictures), 1))
    else:
        one = classifier()
        found = list(in_batches(one, one.runtime.predict, 4, iter(pictures), 1))
        assert isinstance(one.runtime, MeanColour)
        assert one.runtime.largest == 4
    assert [name for name, _ in found] == [name for name, _ in pictures]
    bad = [name for name, answer in found if isinstance(answer, ImageError)]
    assert bad == ["listed", "4.png", "7.png"]
    expected = classifier()
    for (name, answer), (_, picture) in zip(found, pictures, strict=True):
        if name not in bad:
            assert isinstance(picture, Path)
            remark = "the decoder warns: Corrupt JPEG data: premature end of data segment" if name == "9.png" else ""
            assert answer == expected.answer(expected.probabilities(load_image(picture, SPEC)), remark=remark)


@pytest.mark.long
def test_ten_thousand_pictures_take_no_more_memory_than_a_thousand(photos: list[Path]) -> None:
    taken = 0

    def endless() -> Iterator[tuple[str, Picture]]:
        nonlocal taken
        while True:
            taken += 1
            yield f"picture {taken}", photos[taken % 4]

    answers = one_by_one([classifier() for _ in range(2)], endless(), 1)
    assert len(list(islice(answers, 1000))) == 1000
    assert taken < 1020  # a limited number ahead of the reader
    tracemalloc.start()
    held = []
    for _ in range(3):
        assert sum(1 for _ in islice(answers, 3000)) == 3000
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    # 6000 more images. An image has 20 kB, and at either moment, none or up to 20 of them may be read ahead, besides
    # those that are being decoded, with their files. Even 200 bytes of each image would be 1.2 MB.
    assert held[2] - held[0] < 800_000
    assert taken < 10_020
