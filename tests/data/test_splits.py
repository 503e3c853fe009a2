"""Splits are a pure function of content and seed."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from zoo.data.splits import TEST_SHARE, VAL_SHARE, Labelled, Shares, assign_splits


def images(label: str, count: int, given: str | None = None, first: int = 0) -> list[Labelled]:
    return [
        Labelled(label, hashlib.sha256(f"{label}{number}".encode()).hexdigest(), given)
        for number in range(first, first + count)
    ]


def test_shares_are_met_in_every_class() -> None:
    data = images("a", 3000) + images("b", 1000)
    splits = assign_splits(data, seed=0)
    for label, total in (("a", 3000), ("b", 1000)):
        counts = Counter(split for image, split in zip(data, splits, strict=True) if image.label == label)
        deviation = 4 * (total * 0.25) ** 0.5  # more than four standard deviations
        assert abs(counts["test"] - total * TEST_SHARE) < deviation
        assert abs(counts["val"] - total * (1 - TEST_SHARE) * VAL_SHARE) < deviation


def test_nothing_drifts_when_files_are_added_or_renamed() -> None:
    before = images("a", 200) + images("b", 200)
    after = images("b", 400) + images("a", 300)
    was = dict(zip((image.sha256 for image in before), assign_splits(before, 0), strict=True))
    now = dict(zip((image.sha256 for image in after), assign_splits(after, 0), strict=True))
    assert {sha256: now[sha256] for sha256 in was} == was


def test_another_seed_is_another_split() -> None:
    data = images("a", 200)
    assert assign_splits(data, 0) != assign_splits(data, 1)


def test_identical_files_are_on_one_side_even_across_classes() -> None:
    data = images("a", 300)
    copies = [Labelled("b", image.sha256, None) for image in data]
    splits = assign_splits(data + data + copies, 0)
    assert splits[:300] == splits[300:600] == splits[600:]


@pytest.mark.parametrize("count", range(1, 12))
def test_small_classes_train_first_then_test_then_validate(count: int) -> None:
    for label in "abcdefgh":
        counts = Counter(assign_splits(images(label, count), 0))
        assert counts["train"] >= 1
        assert counts["test"] >= (count >= 2)
        assert counts["val"] >= (count >= 3)


@pytest.mark.parametrize("count", range(1, 12))
def test_test_images_do_not_depend_on_whether_there_is_a_validation_split(count: int) -> None:
    for number in range(200):
        data = images(f"{number}/", count)
        with_val, without = (assign_splits(data, 0, shares) for shares in (Shares(), Shares(val=0)))
        assert [split == "test" for split in with_val] == [split == "test" for split in without]
        assert set(without) <= {"train", "test"}


def test_given_splits_stand_and_missing_ones_come_out_of_train() -> None:
    data = images("a", 300, "train") + images("a", 50, "test", first=1000)
    splits = assign_splits(data, 0)
    assert splits[300:] == ["test"] * 50
    assert set(splits[:300]) == {"train", "val"}
    both = images("a", 300, "train") + images("a", 50, "val", first=1000)
    assert set(assign_splits(both, 0)[:300]) == {"train", "test"}
