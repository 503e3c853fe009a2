"""Splits of a dataset: shares, stability, and related photos in one split."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from zoo.audit.division import divide
from zoo.audit.duplicates import NearDuplicates
from zoo.audit.facts import Facts
from zoo.audit.photos import Photo
from zoo.errors import DataError, UsageError


def photo(name: str, label: str = "a", side_px: int = 100) -> Photo:
    sha256 = hashlib.sha256(f"{label}/{name}".encode()).hexdigest()
    facts = Facts(
        format="JPEG",
        width_px=side_px,
        height_px=side_px,
        mode="RGB",
        bits=8,
        alpha=False,
        orientation=1,
        blank=False,
        remark="",
        pixels_sha256=sha256,
    )
    return Photo(f"{label}/{name}", f"/photos/{label}/{name}", label, None, sha256, 1000, facts)


def many(count: int, label: str = "a") -> list[Photo]:
    return [photo(f"{number}.jpg", label) for number in range(count)]


@pytest.mark.parametrize("seed", range(10))
def test_every_class_gets_about_its_shares(seed: int) -> None:
    photos = [*many(400, "a"), *many(50, "b"), *many(20, "c")]
    splits = divide(photos, [], 0.2, 0.1, seed).splits
    counts = Counter((photo.label, split) for photo, split in zip(photos, splits, strict=True))
    assert 60 <= counts["a", "test"] <= 100
    assert 20 <= counts["a", "val"] <= 60
    assert 5 <= counts["b", "test"] <= 15
    assert 2 <= counts["b", "val"] <= 8
    assert 2 <= counts["c", "test"] <= 6
    assert 1 <= counts["c", "val"] <= 3


@pytest.mark.parametrize("seed", range(20))
def test_a_group_that_is_most_of_its_class_trains(seed: int) -> None:
    near_duplicates = [NearDuplicates(0, number, "near", 0.9) for number in range(1, 50)]
    splits = divide([*many(65), *many(40, "b")], near_duplicates, 0.2, 0.1, seed).splits[:65]
    assert splits[0] == "train"
    assert set(splits) == {"train", "val", "test"}


@pytest.mark.parametrize("seed", range(10))
def test_evening_out_leaves_something_to_train_on(seed: int) -> None:
    near_duplicates = [NearDuplicates(0, number, "near", 0.9) for number in range(1, 100)]
    assert set(divide(many(102), near_duplicates, 0.2, 0.1, seed).splits) == {"train", "val", "test"}


def test_added_photos_move_no_other() -> None:
    before = [*many(300, "a"), *many(280, "b")]
    added = [photo(f"new_{number}.jpg", label) for number in range(60) for label in "ab"]
    first = divide(before, [], 0.2, 0.1, 0).splits
    second = divide([*added, *before], [], 0.2, 0.1, 0).splits[len(added) :]
    assert first == second


@pytest.mark.parametrize("seed", range(30))
def test_what_an_earlier_division_named_stays_when_photos_are_added(seed: int) -> None:
    """In most of these small classes, balancing moves photos if ``kept`` is not given."""
    before = [*many(20, "a"), *many(20, "b")]
    first = divide(before, [], 0.2, 0.1, seed).splits
    kept = {photo.sha256: split for photo, split in zip(before, first, strict=True)}
    added = [photo(f"new_{number}.jpg", label) for number in range(20) for label in "ab"]
    copies = [photo(f"copy_{number}.jpg", side_px=300) for number in range(20)]
    near_duplicates = [NearDuplicates(number, 80 + number, "near", 0.9) for number in range(20)]
    second = divide([*before, *added, *copies], near_duplicates, 0.2, 0.1, seed, kept=kept)
    assert second.splits[:40] == first
    assert second.splits[80:] == first[:20], "larger copies follow the photo that is kept"
    assert not second.torn
    for label, others in (("a", second.splits[40:80:2]), ("b", second.splits[41:80:2])):
        counts = Counter([*others, *(split for p, split in zip(before, first, strict=True) if p.label == label)])
        assert 3 <= counts["test"] <= 13, label
        assert 1 <= counts["val"] <= 8, label


def test_a_photo_added_alone_may_be_held_out() -> None:
    before = many(40)
    first = divide(before, [], 0.2, 0.1, 0).splits
    kept = {photo.sha256: split for photo, split in zip(before, first, strict=True)}
    alone = [divide([*before, photo(f"new_{n}.jpg")], [], 0.2, 0.1, 0, kept=kept).splits[-1] for n in range(100)]
    counts = Counter(alone)
    assert 10 <= counts["test"] <= 30
    assert 3 <= counts["val"] <= 20


def test_a_class_that_was_not_there_is_divided_whole() -> None:
    before = many(40)
    kept = {photo.sha256: split for photo, split in zip(before, divide(before, [], 0.2, 0.1, 0).splits, strict=True)}
    for count in (3, 4, 20):
        splits = divide([*before, *many(count, "new")], [], 0.2, 0.1, 0, kept=kept).splits
        assert set(splits[40:]) == {"train", "val", "test"}, count


def test_a_split_that_was_not_there_is_filled_from_new_photos_alone() -> None:
    before = many(40)
    first = divide(before, [], 0.2, 0.0, 0).splits
    kept = {photo.sha256: split for photo, split in zip(before, first, strict=True)}
    with pytest.raises(DataError, match="left for val") as caught:
        divide(before, [], 0.2, 0.1, 0, kept=kept)
    assert "--keep" in str(caught.value.hint)
    splits = divide([*before, *(photo(f"new_{n}.jpg") for n in range(6))], [], 0.2, 0.1, 0, kept=kept).splits
    assert splits[:40] == first
    assert "val" in splits[40:]


def test_new_photos_of_a_torn_group_are_held_out_and_nothing_kept_moves() -> None:
    photos = many(60)
    sides = ["train", "test", "val", *["train"] * 30, *["test"] * 8, *["val"] * 6]
    kept = {photo.sha256: split for photo, split in zip(photos, sides, strict=False)}
    # 0, 1 and 50 are now found to be one group; 2, 3 and 51 are another; 4 and 52 are a third.
    near_duplicates = [NearDuplicates(*pair, "near", 0.9) for pair in ((0, 50), (1, 50), (2, 51), (3, 51), (4, 52))]
    found = divide(photos, near_duplicates, 0.2, 0.1, 0, kept=kept)
    assert list(found.splits[: len(sides)]) == sides
    assert found.splits[50:53] == ("test", "val", "train")
    assert found.torn == ((0, 1, 50), (2, 3, 51))
    assert (found.groups, found.grouped) == (1, 2)


def test_another_seed_divides_otherwise() -> None:
    photos = many(200)
    assert divide(photos, [], 0.2, 0.1, 0).splits == divide(photos, [], 0.2, 0.1, 0).splits
    assert divide(photos, [], 0.2, 0.1, 0).splits != divide(photos, [], 0.2, 0.1, 1).splits


def test_near_duplicates_stay_together_and_a_smaller_copy_moves_nothing() -> None:
    photos = many(200)
    alone = divide(photos, [], 0.2, 0.1, 0).splits
    copies = [photo(f"copy_{number}.jpg", side_px=50) for number in range(200)]
    near_duplicates = [NearDuplicates(number, 200 + number, "near", 0.9) for number in range(200)]
    found = divide([*photos, *copies], near_duplicates, 0.2, 0.1, 0)
    assert found.splits[:200] == found.splits[200:] == alone
    assert (found.groups, found.grouped) == (200, 400)


def test_what_the_expression_finds_stays_together() -> None:
    photos = [photo(f"subject{number // 5}_{number}.jpg") for number in range(400)]
    found = divide(photos, [], 0.2, 0.1, 0, r"subject(\d+)")
    assert found.groups == 80
    for start in range(0, 400, 5):
        assert len(set(found.splits[start : start + 5])) == 1
    assert set(found.splits) == {"train", "val", "test"}


def test_no_share_for_a_split_leaves_it_out() -> None:
    assert set(divide(many(60), [], 0.2, 0.0, 0).splits) == {"train", "test"}
    assert set(divide(many(60), [], 0.0, 0.2, 0).splits) == {"train", "val"}


@pytest.mark.parametrize(("test", "val"), [(1.0, 0.0), (-0.1, 0.2), (0.6, 0.4), (0.0, 0.0), (float("nan"), 0.1)])
def test_shares_out_of_range_are_refused(test: float, val: float) -> None:
    with pytest.raises(UsageError, match="--test"):
        divide(many(10), [], test, val, 0)


def test_a_class_too_small_for_the_splits_is_named() -> None:
    with pytest.raises(DataError, match="Class 'few' has only 2 unrelated photos"):
        divide([*many(30), *many(2, "few")], [], 0.2, 0.1, 0)
    with pytest.raises(DataError, match="Class 'a' has only 1 unrelated photo or group"):
        divide([*many(4), *many(30, "b")], [NearDuplicates(0, n, "near", 1.0) for n in (1, 2, 3)], 0.2, 0.1, 0)


def test_expressions_that_are_none_or_find_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="not a valid regular expression"):
        divide(many(10), [], 0.2, 0.1, 0, "(")
    with pytest.raises(UsageError, match="matches none of 10 names"):
        divide(many(10), [], 0.2, 0.1, 0, "subject")
