"""Near-duplicates with different labels: labels such as left and right are not a contradiction."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.audit.conftest import read_image, write_image
from tests.conftest import PhotoFolder, hash_of
from zoo.audit.audit import Audit
from zoo.audit.division import divide
from zoo.audit.duplicates import NearDuplicates, find_near_duplicates, groups, unmirrored_groups
from zoo.audit.findings import failing
from zoo.audit.leakage import find_leaks
from zoo.audit.photos import read_photos
from zoo.audit.records import Records
from zoo.audit.repeats import near_duplicate_findings
from zoo.data import load_data
from zoo.image_spec import ImageSpec


def check(root: Path) -> Audit:
    """Runs the check without a backbone."""
    with Records() as records:
        photos = read_photos(str(root), records)
        near_duplicates = find_near_duplicates(photos, None, records)
    group, unmirrored = groups(len(photos), near_duplicates), unmirrored_groups(len(photos), near_duplicates)
    return Audit(
        photos,
        tuple(near_duplicates),
        group,
        unmirrored,
        tuple(near_duplicate_findings(photos, near_duplicates, group, unmirrored)),
        None,
    )


def counts(found: Audit) -> dict[str, int]:
    return {kind: len(findings) for kind, findings in found.by_kind.items()}


def mirror(source: Path, target: Path) -> None:
    write_image(target, read_image(source)[:, ::-1])


@pytest.fixture
def turns(photo_folder: PhotoFolder) -> Path:
    """14 photos of left turns, and their mirror images as right turns."""
    root = photo_folder({"turn_left": 14, "turn_right": 0})
    for path in sorted((root / "turn_left").iterdir()):
        mirror(path, root / "turn_right" / f"of_{path.name}")
    return root


def test_mirror_images_of_two_classes_are_a_note(turns: Path) -> None:
    found = check(turns)
    assert counts(found) == {"mirrored": 14}
    assert all(pair.mirrored for pair in found.near_duplicates)
    assert not failing("warning") & found.by_kind.keys()


def test_mirror_images_of_one_class_are_duplicates(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 6, "b": 6})
    mirror(root / "a" / "photo_001.jpg", root / "a" / "mirrored.jpg")
    assert counts(check(root)) == {"duplicate": 1}


def test_a_copy_under_two_labels_is_a_contradiction_beside_its_mirror_image(turns: Path) -> None:
    write_image(turns / "turn_right" / "copy.jpg", read_image(turns / "turn_left" / "photo_004.jpg")[2:-2, 2:-2])
    found = check(turns)
    assert counts(found) == {"contradiction": 1, "mirrored": 13}
    (contradiction,) = found.by_kind["contradiction"]
    assert {"turn_left/photo_004.jpg", "turn_right/copy.jpg"} <= set(contradiction.files)


def test_symmetric_photos_are_the_same_without_mirroring(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 6, "b": 6})
    image = read_image(root / "a" / "photo_000.jpg")
    symmetric = np.concatenate([image, image[:, ::-1]], 1)
    write_image(root / "a" / "symmetric.jpg", symmetric)
    write_image(root / "b" / "mirrored.jpg", symmetric[:, ::-1] // 10 * 10)
    found = check(root)
    assert "contradiction" in found.by_kind
    assert "mirrored" not in found.by_kind


def test_a_group_knows_which_of_its_photos_are_mirrored() -> None:
    pairs = [
        NearDuplicates(0, 1, "near", 1.0, True),
        NearDuplicates(1, 2, "near", 1.0, True),
        NearDuplicates(2, 3, "near", 1.0),
    ]
    assert groups(5, pairs).tolist() == [0, 0, 0, 0, 4]
    found = unmirrored_groups(5, pairs)
    assert found[0] == found[2] == found[3]
    assert len({found[0], found[1], found[4]}) == 3


@pytest.mark.parametrize(("label", "leaks"), [("b", True), ("a", False)])
def test_a_mirror_image_leaks_only_under_the_same_label(
    label: str, leaks: bool, photo_folder: PhotoFolder, own_cache: Path
) -> None:
    root = photo_folder({"train/a": 12, "train/b": 12, "test/a": 6, "test/b": 6})
    mirror(root / "train" / "b" / "photo_003.jpg", root / "test" / label / "mirrored.jpg")
    found = check(root)
    assert counts(found) == ({"leak": 1} if leaks else {"mirrored": 1})
    assert found.leaked["test"] == (int(leaks), 13)
    data = load_data(str(root), ImageSpec(height_px=128, width_px=128))
    for _ in range(2):  # the second time from the cache
        assert [leak.name for leak in find_leaks(data).leaks] == (["test/b/mirrored.jpg"] if leaks else [])


def test_a_split_keeps_mirror_images_of_two_classes_on_one_side(turns: Path) -> None:
    found = check(turns)
    division = divide(found.photos.photos, found.near_duplicates, 0.2, 0.1, 0)
    side = dict(zip((photo.name for photo in found.photos.photos), division.splits, strict=True))
    for path in (turns / "turn_left").iterdir():
        assert side[f"turn_left/{path.name}"] == side[f"turn_right/of_{path.name}"]
    assert set(division.splits) == {"train", "val", "test"}


def test_copies_altered_in_one_way_across_two_classes_are_a_warning(
    photo_folder: PhotoFolder, changes: ModuleType
) -> None:
    root = photo_folder({"clean": 14, "marked": 0, "other": 4})
    for number in range(14):
        image = read_image(root / "clean" / f"photo_{number:03d}.jpg")
        changed = changes.CHANGES["drawn on"](image, np.random.default_rng(hash_of(str(number))))
        write_image(root / "marked" / f"{number}.jpg", changed)
    found = check(root)
    assert found.by_kind.keys() == {"altered"}
    assert found.by_kind["altered"][0].severity == "warning"
    assert len(found.by_kind["altered"]) >= 10


def test_few_altered_copies_across_two_classes_are_contradictions(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 14, "b": 14})
    for number in range(5):
        write_image(root / "b" / f"{number}.jpg", read_image(root / "a" / f"photo_{number:03d}.jpg")[3:, 3:])
    assert counts(check(root)) == {"contradiction": 5}
