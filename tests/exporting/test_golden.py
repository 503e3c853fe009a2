"""The choice of photos for the golden vectors."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tests.conftest import PhotoFolder
from tests.images.test_listen import half_gray
from zoo.data import TEST, load_data
from zoo.exporting.golden import Sample, choose_photos
from zoo.image_spec import ImageSpec
from zoo.images import look


def chosen(photos: Path) -> list[str]:
    return [sample.name for sample in samples_of(photos)]


def samples_of(photos: Path) -> list[Sample]:
    spec = ImageSpec(height_px=32, width_px=32)
    data = load_data(str(photos), spec)
    certain = np.eye(len(data.labels), dtype=np.float32)[data.classes[data.indices(TEST)]]
    return choose_photos(data, TEST, certain, spec)


def test_photos_are_of_formats_that_every_decoder_reads(photo_folder: PhotoFolder) -> None:
    photos = photo_folder(
        {f"{split}/{label}": 6 for split in ("train", "val", "test") for label in ("rugby", "soccer")}
    )
    assert chosen(photos) == ["photo-1.jpg", "photo-2.jpg", "photo-3.jpg"]
    for label, kept in (("rugby", 5), ("soccer", 6)):
        for path in sorted((photos / "test" / label).iterdir())[:kept]:
            small = cv2.resize(cv2.imread(str(path)), (20, 15))  # the smallest are taken first
            path.unlink()
            path.with_suffix(".tiff").write_bytes(cv2.imencode(".tiff", small)[1].tobytes())
    assert chosen(photos) == ["photo-1.jpg"]


def test_a_damaged_photo_is_no_golden_vector(photo_folder: PhotoFolder) -> None:
    """Decoders fill in damaged parts in different ways."""
    photos = photo_folder(
        {f"{split}/{label}": 4 for split in ("train", "val", "test") for label in ("rugby", "soccer")}
    )
    for path in sorted((photos / "test").glob("*/*"))[::2]:
        path.write_bytes(half_gray(path.read_bytes()))  # smaller than the others, and therefore tried first
    found = samples_of(photos)
    assert len(found) == 3
    assert not any(look(sample.content)[1] for sample in found)
