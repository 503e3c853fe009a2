"""Assigns images to train, val and test: a pure function of each image's content and the seed.

The split of an image is determined by a hash of its bytes, with the same probabilities in each class. Therefore adding
or renaming a file does not move another file to another split, and identical bytes are always in one split. A
disadvantage is that the shares are only met on average; see ``docs/decisions/0002-splits-by-content-hash.md``.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
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


@dataclass(frozen=True, slots=True)
class Labelled:
    """The input of a split: the label, the content, and the given split, if there is one."""

    label: str
    sha256: str
    given: str | None


def assign_splits(images: Sequence[Labelled], seed: int, shares: Shares | None = None) -> list[str]:
    """The split of every image, in order.

    Images without a given split are assigned. If some splits are given and another is missing completely, the missing
    one is taken from the given ``train``. Of each class, at least one image is assigned to ``train``, then one to
    ``test`` and then one to ``val``, as far as the class has distinct images and these splits are not given. The test
    images do not depend on whether validation images are needed.
    """
    given = {image.given for image in images if image.given}
    shares = shares or Shares()
    contents: dict[str, set[str]] = defaultdict(set)
    for image in images:
        if image.given in (None, TRAIN):
            contents[image.label].add(image.sha256)
    # Two images remain for training and validation.
    test = _taken(contents, TEST, 0.0 if TEST in given else shares.test, 2, seed)
    others = {label: of_class - test for label, of_class in contents.items()}
    val = _taken(others, VAL, 0.0 if VAL in given else shares.val, 1, seed)
    made = dict.fromkeys(val, VAL) | dict.fromkeys(test, TEST)
    return [image.given if image.given in (VAL, TEST) else made.get(image.sha256, TRAIN) for image in images]


def _taken(contents: Mapping[str, AbstractSet[str]], split: str, share: float, left: int, seed: int) -> set[str]:
    """The contents that are assigned to a split: by their hash, but at least one of each class with two or more.

    ``left`` contents of each class are not assigned, or one if there are fewer. A content that another class has too,
    and that was assigned before, keeps its split.
    """
    taken: set[str] = set()
    known: set[str] = set()
    for label in sorted(contents) if share > 0 else ():
        of_class = contents[label]
        rank = {content: unit(content, split, seed) for content in of_class}
        taken |= {content for content in of_class - known if rank[content] < share}
        known |= of_class
        least = max(1, min(left, len(of_class) - 1))
        # If too few remain, those with the largest rank for the test split go back to the training images.
        back = sorted(of_class & taken, key=lambda content: unit(content, TEST, seed))
        taken -= set(back[max(0, len(of_class) - least) :])
        if len(of_class) > 1 and not of_class & taken:
            taken.add(min(of_class, key=rank.__getitem__))
    return taken


def unit(content: str, purpose: str, seed: int) -> float:
    """A number in [0, 1) that depends only on the arguments."""
    digest = hashlib.sha256(f"{seed}:{purpose}:{content}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
