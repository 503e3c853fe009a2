"""Assigns images to train, val and test: a pure function of each image's content and the seed.

The split of an image is determined by a hash of its bytes, with the same probabilities in each class. Therefore adding
or renaming a file does not move another file to another split, and identical bytes are always in one split. A
disadvantage is that the shares are only met on average; see ``docs/decisions/0002-splits-by-content-hash.md``.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.data.source import TEST, TRAIN, VAL

#: Share of test images if the data has no test split.
TEST_SHARE = 0.2
#: Share of validation images among the others if the data has no validation split.
VAL_SHARE = 0.15


@dataclass(frozen=True)
class Shares:
    """The shares of the splits.

    Args:
        test: Share of all images, 0 to 1.
        val: Share of the remaining images.
    """

    test: float = TEST_SHARE
    val: float = VAL_SHARE


@dataclass(frozen=True)
class Labelled:
    """The input of a split: the label, the content, and the given split, if there is one."""

    label: str
    sha256: str
    given: str | None


def assign_splits(images: Sequence[Labelled], seed: int, shares: Shares | None = None) -> list[str]:
    """The split of every image, in order.

    Images without a given split are assigned. If some splits are given and another is missing completely, the missing
    one is taken from the given ``train``. Of each class, at least one image is assigned to ``train``, then one to
    ``test`` and then one to ``val``, as far as the class has distinct images and these splits are not given.
    """
    given = {image.given for image in images if image.given}
    shares = shares or Shares()
    test_share = 0.0 if TEST in given else shares.test
    val_share = 0.0 if VAL in given else shares.val
    contents: dict[str, list[str]] = defaultdict(list)
    for image in images:
        if image.given in (None, TRAIN):
            contents[image.label].append(image.sha256)
    decided: dict[str, str] = {}
    for label in sorted(contents):
        _assign_class(sorted(set(contents[label])), test_share, val_share, seed, decided)
    return [image.given if image.given in (VAL, TEST) else decided[image.sha256] for image in images]


def _assign_class(
    contents: Sequence[str], test_share: float, val_share: float, seed: int, decided: dict[str, str]
) -> None:
    """Assigns the contents of one class. A content that another class has too, and that was assigned before, keeps its
    split."""
    test_rank = {content: unit(content, "test", seed) for content in contents}
    val_rank = {content: unit(content, "val", seed) for content in contents}
    for content in contents:
        if content not in decided:
            if test_rank[content] < test_share:
                decided[content] = TEST
            else:
                decided[content] = VAL if val_rank[content] < val_share else TRAIN
    wanted = [TRAIN] + [TEST] * (test_share > 0) + [VAL] * (val_share > 0)
    rank = {TRAIN: {content: -test_rank[content] for content in contents}, TEST: test_rank, VAL: val_rank}
    needed = wanted[: len(contents)]
    for split in needed:
        if not any(decided[content] == split for content in contents):
            donor = max(wanted, key=lambda name: _surplus(name, contents, needed, decided))
            chosen = min((content for content in contents if decided[content] == donor), key=rank[split].__getitem__)
            decided[chosen] = split


def _surplus(split: str, contents: Sequence[str], needed: Sequence[str], decided: Mapping[str, str]) -> int:
    """Number of images of the class that a split can spare."""
    return sum(decided[content] == split for content in contents) - (split in needed)


def unit(content: str, purpose: str, seed: int) -> float:
    """A number in [0, 1) that depends only on the arguments."""
    digest = hashlib.sha256(f"{seed}:{purpose}:{content}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
