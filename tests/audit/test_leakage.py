"""The search for test images that have a near-duplicate among the training images, as in every training."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.audit.conftest import read_image, write_image
from tests.conftest import PhotoFolder
from zoo.audit import leakage
from zoo.audit.leakage import Leakage, accuracy_without, find_leaks
from zoo.data import load_data
from zoo.evaluation.predictions import Predictions
from zoo.image_spec import ImageSpec

SPEC = ImageSpec(height_px=128, width_px=128)


def test_clean_splits_leak_nothing(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"train/a": 12, "train/b": 12, "test/a": 6, "test/b": 6})
    assert find_leaks(load_data(str(root), SPEC)) == Leakage([], None)


@pytest.mark.parametrize("change", ["recompressed", "cropped", "mirrored"])
def test_a_copy_in_test_is_found_with_its_near_duplicate(
    change: str, photo_folder: PhotoFolder, changes: ModuleType
) -> None:
    root = photo_folder({"train/a": 12, "train/b": 12, "test/a": 6, "test/b": 6})
    original = read_image(root / "train" / "b" / "photo_003.jpg")
    write_image(root / "test" / "b" / "copy.jpg", changes.CHANGES[change](original, np.random.default_rng(0)))
    (root / "test" / "a" / "equal.jpg").write_bytes((root / "train" / "a" / "photo_001.jpg").read_bytes())
    data = load_data(str(root), SPEC)
    for compared in (True, False):  # the second time from the cache
        told: list[tuple[int, int]] = []
        leaks = find_leaks(data, lambda *counts, told=told: told.append(counts)).leaks
        found = {leak.name: leak for leak in leaks}
        assert bool(told) is compared
        assert all(done <= total for done, total in told)
        assert found.keys() == {"test/a/equal.jpg", "test/b/copy.jpg"}
        assert found["test/a/equal.jpg"].near_duplicate == "train/a/photo_001.jpg"
        assert found["test/a/equal.jpg"].similarity == 1
        assert found["test/b/copy.jpg"].near_duplicate == "train/b/photo_003.jpg"


def test_the_accuracy_without_them_is_that_of_the_others(photo_folder: PhotoFolder, tmp_path: Path) -> None:
    root = photo_folder({"train/a": 6, "train/b": 6, "test/a": 2, "test/b": 2})
    (root / "test" / "a" / "equal.jpg").write_bytes((root / "train" / "a" / "photo_001.jpg").read_bytes())
    leaks = find_leaks(load_data(str(root), SPEC)).leaks
    files = ("test/a/equal.jpg", "test/a/photo_000.jpg", "test/a/photo_001.jpg", "test/b/photo_000.jpg")
    right, wrong = [0.9, 0.1], [0.2, 0.8]
    answers = Predictions(("a", "b"), files, [0, 0, 0, 1], np.array([right, right, wrong, wrong], np.float32))
    assert accuracy_without(answers, leaks) == (pytest.approx(2 / 3), 3)
    only = Predictions(("a", "b"), files[:1], [0], np.array([right], np.float32))
    assert accuracy_without(only, leaks) is None


def test_digits_are_too_small_to_be_compared_and_it_is_said() -> None:
    found = find_leaks(load_data("digits", ImageSpec(height_px=32, width_px=32, interpolation="bilinear")))
    assert found.leaks == []
    assert found.unsearched
    assert found.unsearched.startswith("Near-duplicates of test images were not searched: at 32 px")


@pytest.fixture
def leaky(photo_folder: PhotoFolder) -> Path:
    """12 test images, of which one is also a training file and one is a crop of one; 24 other images."""
    root = photo_folder({"train/a": 12, "train/b": 12, "test/a": 5, "test/b": 5})
    (root / "test" / "a" / "equal.jpg").write_bytes((root / "train" / "a" / "photo_001.jpg").read_bytes())
    write_image(root / "test" / "b" / "crop.jpg", read_image(root / "train" / "b" / "photo_003.jpg")[6:, 8:])
    return root


@pytest.mark.parametrize(
    ("limit", "most", "said"),
    [
        ("_IMAGES", 34, "Near-duplicates of test images were not searched: there are 35 images, more than 34"),
        (
            "_PAIRS_WITH_CROPS",
            263,
            "Cropped copies of test images were not searched: there are 264 pairs, more than 263",
        ),
    ],
)
def test_what_was_not_looked_for_is_said(
    limit: str, most: int, said: str, leaky: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_data(str(leaky), SPEC)
    monkeypatch.setattr(leakage, limit, most)
    found = find_leaks(data)
    assert "test/a/equal.jpg" in {leak.name for leak in found.leaks}
    assert found.unsearched == f"{said}. `zoo data check` compares them."
    monkeypatch.setattr(leakage, limit, most + 1)
    assert find_leaks(data).unsearched is None


def test_equal_files_are_told_without_a_cache_of_findings(leaky: Path, own_cache: Path) -> None:
    data = load_data(str(leaky), SPEC)
    (own_cache / "audit.sqlite").mkdir()
    found = find_leaks(data)
    assert [leak.name for leak in found.leaks] == ["test/a/equal.jpg"]
    assert found.unsearched
    assert "Could not use the cache" in found.unsearched
