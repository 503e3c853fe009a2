"""Near-duplicates: copies of a photo are found, and similar photos are not."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from tests.audit.conftest import read_image, write_image
from tests.conftest import PhotoFolder
from zoo.audit import duplicates
from zoo.audit.duplicates import NearDuplicates, find_near_duplicates, groups
from zoo.audit.fingerprints import most_similar
from zoo.audit.photos import Photos, read_photos
from zoo.audit.records import Records
from zoo.data.ingest import Progress


def near_duplicates_in(root: Path) -> tuple[Photos, set[tuple[str, str, str]]]:
    """Near-duplicates that are found without a backbone, as in ``zoo train``."""
    with Records() as records:
        photos = read_photos(str(root), records)
        found = find_near_duplicates(photos, None, records)
    names = [photo.name for photo in photos.photos]
    return photos, {(*sorted((names[pair.first], names[pair.second])), pair.kind) for pair in found}  # type: ignore[misc]


def test_drawn_photos_of_one_colour_are_no_near_duplicates(photo_folder: PhotoFolder) -> None:
    _, found = near_duplicates_in(photo_folder({"a": 15, "b": 15}))
    assert found == set()


def test_the_same_bytes_and_the_same_pixels_are_told_apart(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 3, "b": 3})
    (root / "b" / "copy.jpg").write_bytes((root / "a" / "photo_000.jpg").read_bytes())
    write_image(root / "a" / "lossless.png", read_image(root / "a" / "photo_001.jpg"))
    _, found = near_duplicates_in(root)
    assert found == {
        ("a/photo_000.jpg", "b/copy.jpg", "bytes"),
        ("a/lossless.png", "a/photo_001.jpg", "pixels"),
    }


@pytest.mark.parametrize("change", ["resized", "recompressed", "cropped", "mirrored", "relit", "drawn on"])
def test_a_changed_copy_is_found(change: str, shared_data: Path, tmp_path: Path, changes: ModuleType) -> None:
    sources = sorted((shared_data / "ccby_coarse" / "bird").iterdir())[:12]
    random = np.random.default_rng(0)
    for number, source in enumerate(sources):
        image = read_image(source)
        write_image(tmp_path / "a" / f"{number}.jpg", image)
        write_image(tmp_path / "b" / f"{number}.jpg", changes.CHANGES[change](image, random))
    _, found = near_duplicates_in(tmp_path)
    assert len(found) >= 11
    assert {(first, second) for first, second, _ in found} <= {(f"a/{n}.jpg", f"b/{n}.jpg") for n in range(12)}


def test_different_balls_with_one_difference_hash_are_no_near_duplicates(shared_data: Path, tmp_path: Path) -> None:
    for name in ("test/soccer/football_332.jpg", "train/soccer/football_220.jpg"):
        path = tmp_path / name.split("/")[0] / Path(name).name
        path.parent.mkdir()
        path.write_bytes((shared_data / "rugby_soccer" / name).read_bytes())
    _, found = near_duplicates_in(tmp_path)
    assert found == set()


def test_the_same_ball_in_another_colour_is_no_near_duplicate(shared_data: Path, tmp_path: Path) -> None:
    image = read_image(
        shared_data
        / "ccby_coarse"
        / "bird"
        / sorted(p.name for p in (shared_data / "ccby_coarse" / "bird").iterdir())[0]
    )
    hue = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hue[:, :, 0] = (hue[:, :, 0] + 60) % 180
    write_image(tmp_path / "a" / "one.jpg", image)
    write_image(tmp_path / "b" / "other.jpg", cv2.cvtColor(hue, cv2.COLOR_HSV2BGR))
    _, found = near_duplicates_in(tmp_path)
    assert found == set()


def test_pictures_too_small_to_tell_apart_are_left_alone(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    image = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
    write_image(tmp_path / "a" / "one.png", image)
    write_image(tmp_path / "b" / "mirrored.png", image[:, ::-1])
    _, found = near_duplicates_in(tmp_path)
    assert found == set()


def test_what_was_judged_is_looked_up(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 6, "b": 6})
    write_image(root / "b" / "larger.jpg", cv2.resize(read_image(root / "a" / "photo_000.jpg"), None, fx=2, fy=2))
    _, first = near_duplicates_in(root)
    assert first == {("a/photo_000.jpg", "b/larger.jpg", "near")}
    told: set[str] = set()
    with Records() as records:
        photos = read_photos(str(root), records)
        find_near_duplicates(photos, None, records, lambda text: lambda done, total: told.add(text))
        assert told == set()
        write_image(root / "a" / "another.jpg", np.full((60, 60, 3), np.arange(60, dtype=np.uint8)[:, None]))
        photos = read_photos(str(root), records)
        find_near_duplicates(photos, None, records, lambda text: lambda done, total: told.add(text))
        assert told >= {"computing fingerprints", "searching candidates"}


def test_pairs_that_were_compared_before_an_interruption_are_kept(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 12, "b": 12})
    compared: list[int] = []
    monkeypatch.setattr(duplicates, "_PART", 2)

    def counter(text: str) -> Progress:
        def count(done: int, total: int) -> None:
            if text == "comparing":
                compared.append(done)
                if len(compared) == 3:
                    raise KeyboardInterrupt

        return count

    with Records() as records:
        photos = read_photos(str(root), records)
        with pytest.raises(KeyboardInterrupt):
            find_near_duplicates(photos, None, records, counter)
        assert compared == [2, 4, 6]
        find_near_duplicates(photos, None, records, counter)
    assert compared[3] == 8  # the first six pairs were not compared again


def test_without_features_crops_among_many_images_are_not_searched(
    shared_data: Path, tmp_path: Path, changes: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, source in enumerate(sorted((shared_data / "ccby_coarse" / "bird").iterdir())[:6]):
        image = read_image(source)
        height, width = image.shape[:2]
        write_image(tmp_path / "a" / f"{number}.jpg", image)
        write_image(tmp_path / "b" / f"{number}.jpg", image[: height * 9 // 10, : width * 9 // 10])
        write_image(tmp_path / "b" / f"smaller{number}.jpg", cv2.resize(image, None, fx=0.5, fy=0.5))
    resized = {(f"a/{number}.jpg", f"b/smaller{number}.jpg", "near") for number in range(6)}
    _, found = near_duplicates_in(tmp_path)
    assert found > resized
    monkeypatch.setattr(duplicates, "MOST_WITH_CROPS", 17)
    searched: list[int] = []
    monkeypatch.setattr(
        duplicates,
        "most_similar",
        lambda *some: searched.append(some[5]) or most_similar(*some),  # type: ignore[func-returns-value]
    )
    _, found = near_duplicates_in(tmp_path)
    assert searched == [1]
    assert found >= resized


def test_other_names_change_no_verdict(shared_data: Path, tmp_path: Path, changes: ModuleType, own_cache: Path) -> None:
    """The patches of one picture are searched in the other. Names must not decide which picture is the first."""
    sources = sorted((shared_data / "ccby_coarse" / "bird").iterdir())[:12]
    random = np.random.default_rng(0)
    pictures = [read_image(source) for source in sources]
    pictures += [changes.CHANGES["all at once"](picture, random) for picture in pictures]
    said = []
    for name, order in (("there", pictures), ("back", pictures[::-1])):
        for number, picture in enumerate(order):
            write_image(tmp_path / name / "a" / f"{number:02d}.png", picture)
        with Records(tmp_path / f"{name}-records") as records:
            photos = read_photos(str(tmp_path / name), records)
            near_duplicates = find_near_duplicates(photos, None, records)
        contents = photos.contents
        said.append(
            {tuple(sorted((contents[pair.first], contents[pair.second]))): pair.similarity for pair in near_duplicates}
        )
    assert len(said[0]) >= 10
    assert said[0] == said[1]


def test_near_duplicates_of_near_duplicates_are_one_group() -> None:
    pairs = [NearDuplicates(4, 2, "near", 0.8), NearDuplicates(2, 0, "near", 0.8), NearDuplicates(1, 3, "bytes", 1.0)]
    assert groups(6, pairs).tolist() == [0, 1, 0, 1, 0, 5]
