"""Assigns photos to train, val and test: stratified, seeded, with near-duplicates and bursts in one split.

As everywhere in zoo, the split depends only on a hash and the seed (``zoo.data.splits``). Here, each group of related
photos has one hash. The hash of a group of near-duplicates is that of its largest member, most likely the original, so
that smaller copies that are added later change nothing. Small classes are balanced afterwards, so in these an added
photo can move another one. Photos that an earlier manifest keeps do not move.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from zoo.audit.duplicates import NearDuplicates, groups
from zoo.audit.photos import Photo
from zoo.data.source import TEST, TRAIN, VAL
from zoo.data.splits import Labelled, Shares, assign_splits, unit
from zoo.errors import DataError, UsageError


@dataclass(frozen=True)
class Division:
    """The splits of all photos.

    Args:
        splits: Split of each photo.
        groups: Number of groups with more than one photo, each in one split.
        grouped: Number of photos in these groups.
        torn: Groups that an earlier manifest has in several splits: positions of their photos.
    """

    splits: tuple[str, ...]
    groups: int
    grouped: int
    torn: tuple[tuple[int, ...], ...] = ()


def divide(
    photos: Sequence[Photo],
    near_duplicates: Sequence[NearDuplicates],
    test: float,
    val: float,
    seed: int,
    group_by: str | None = None,
    kept: Mapping[str, str] | None = None,
) -> Division:
    """Splits photos into train, val and test.

    Args:
        photos: All photos.
        near_duplicates: Pairs that have to stay in one split.
        test, val: Shares of all photos, from 0 to less than 1. Their sum must be above 0 and below 1.
        seed: Seed of the split.
        group_by: Regular expression. If it matches the same text in the names of photos, they stay in one split. If it
            has a group in parentheses, the text of that group is compared.
        kept: Split by SHA-256, from an earlier manifest. These photos keep their split, and only others are assigned.

    Raises:
        UsageError: The shares are out of range, or the expression is invalid or matches nothing.
        DataError: A class has fewer groups than there are splits.
    """
    check_shares(test, val)
    texts = _texts(photos, group_by) if group_by is not None else [None] * len(photos)
    first: dict[str, int] = {}
    bursts = [
        NearDuplicates(first.setdefault(text, index), index, "near", 1.0)
        for index, text in enumerate(texts)
        if text is not None
    ]
    group = groups(len(photos), [*near_duplicates, *bursts]).tolist()
    together: dict[int, list[int]] = {}
    for index, name in enumerate(group):
        together.setdefault(name, []).append(index)
    key_of = {
        name: _key([photos[i] for i in indices], [texts[i] for i in indices]) for name, indices in together.items()
    }
    held = _held(photos, together.values(), kept or {})
    # A group that is in several splits is treated as one group per split.
    keys = [f"{key_of[name]}:{held[i]}" if i in held else key_of[name] for i, name in enumerate(group)]
    fixed = {keys[i]: split for i, split in held.items()}
    wanted = [TRAIN] + [TEST] * (test > 0) + [VAL] * (val > 0)
    _refuse_too_few(photos, keys, len(wanted))
    labelled = [Labelled(photo.label, key, None) for photo, key in zip(photos, keys, strict=True)]
    shares = Shares(test, val / (1 - test))
    if fixed:
        side = {key: fixed.get(key) or _by_hash(key, shares, seed) for key in keys}
    else:
        side = dict(zip(keys, assign_splits(labelled, seed, shares), strict=True))
    sizes: dict[str, Counter[str]] = {}
    for photo in labelled:
        sizes.setdefault(photo.label, Counter())[photo.sha256] += 1
    classes_of = Counter(key for of_class in sizes.values() for key in of_class)
    for _, of_class in sorted(sizes.items()):
        if fixed:
            _fill(of_class, side, fixed, wanted, seed)
        movable = {key for key in of_class if classes_of[key] == 1 and key not in fixed}
        _even_out(of_class, movable, side, shares, seed)
    splits = [side[key] for key in keys]
    _refuse_empty(photos, splits, wanted, bool(fixed))
    whole, torn = [], []
    for indices in together.values():
        if len({splits[i] for i in indices}) > 1:
            torn.append(tuple(indices))
        elif len(indices) > 1:
            whole.append(indices)
    return Division(tuple(splits), len(whole), sum(map(len, whole)), tuple(torn))


def _held(photos: Sequence[Photo], together: Iterable[Sequence[int]], kept: Mapping[str, str]) -> dict[int, str]:
    """The split of every kept photo, and of the photos related to one.

    If kept photos of a group are in several splits, its other photos go to test if a kept one is there, otherwise to
    val, so that no more of the group is used for training.
    """
    found: dict[int, str] = {}
    for indices in together:
        given = {kept[photos[i].sha256] for i in indices if photos[i].sha256 in kept}
        if given:
            join = next(split for split in (TEST, VAL, TRAIN) if split in given)
            found |= {i: kept.get(photos[i].sha256, join) for i in indices}
    return found


def _by_hash(key: str, shares: Shares, seed: int) -> str:
    if unit(key, TEST, seed) < shares.test:
        return TEST
    return VAL if unit(key, VAL, seed) < shares.val else TRAIN


def _fill(sizes: Counter[str], side: dict[str, str], fixed: Container[str], wanted: Sequence[str], seed: int) -> None:
    """Gives a class photos in every split, as far as photos are not fixed and can be spared in other splits.

    Args:
        sizes: Number of photos of the class in each group.
        side: Split of each group.
        fixed: Groups that keep their split.
        wanted: Splits that need photos.
        seed: Seed of the split.
    """
    mine = sorted(sizes)
    for split in wanted:
        counts = Counter(side[key] for key in mine)
        spare = [key for key in mine if key not in fixed and counts[side[key]] > 1]
        if not counts[split] and spare:
            rank = {key: -unit(key, TEST, seed) if split == TRAIN else unit(key, split, seed) for key in spare}
            side[min(spare, key=rank.__getitem__)] = split


def _even_out(sizes: Counter[str], movable: AbstractSet[str], side: dict[str, str], shares: Shares, seed: int) -> None:
    """Moves photos until each split has 0.5 to 1.5 times its share of a class, or is as near to that as possible.

    Groups change their split in the order of their hashes, those nearest to the other split first. An added photo can
    move another one only here, and where a class would otherwise have no photo in a split.

    Args:
        sizes: Number of photos of the class in each group.
        movable: Groups that have no other class and may change their split.
        side: Split of each group.
        shares: Shares of the splits.
        seed: Seed of the split.
    """
    for split, share in ((TEST, shares.test), (VAL, (1 - shares.test) * shares.val)):
        wanted = share * sizes.total()
        ranked = sorted(movable, key=lambda key: unit(key, split, seed))
        count = sum(size for key, size in sizes.items() if side[key] == split)
        for key in reversed(ranked):
            if side[key] == split and count > 1.5 * wanted:
                left = count - sizes[key]
                small = sum(sizes[other] for other in movable if side[other] == TRAIN and sizes[other] <= wanted)
                reached = max(left, min(left + small, wanted))  # if one group is too large, a smaller one may fit
                if reached > 0 and abs(reached - wanted) < count - wanted:
                    side[key], count = TRAIN, left
        for key in ranked:
            fits = side[key] == TRAIN and count < 0.5 * wanted and count + sizes[key] <= 1.5 * wanted
            if fits and sum(side[other] == TRAIN for other in sizes) > 1:
                side[key], count = split, count + sizes[key]


def check_shares(test: float, val: float) -> None:
    """Raises ``UsageError`` for shares that leave no photos for training, or none for test and validation."""
    if not (0 <= test < 1 and 0 <= val < 1 and 0 < test + val < 1):
        raise UsageError(
            f"--test {test:g} --val {val:g} leave a share of {round(1 - test - val, 6):g} for training.",
            "Give shares from 0 to below 1 whose sum is above 0 and below 1, such as --test 0.2 --val 0.1.",
        )


def check_expression(group_by: str) -> re.Pattern[str]:
    """Compiles the expression, or raises ``UsageError`` if it is invalid."""
    try:
        return re.compile(group_by)
    except re.error as error:
        raise UsageError(f"--group-by {group_by!r} is not a valid regular expression: {error}.") from None


def _texts(photos: Sequence[Photo], group_by: str) -> list[str | None]:
    expression = check_expression(group_by)
    texts = []
    for photo in photos:
        found = expression.search(photo.name)
        texts.append((found[1] if expression.groups else found[0]) if found else None)
    if not any(texts):
        raise UsageError(
            f"--group-by {group_by!r} matches none of {len(photos)} names, for example {photos[0].name!r}.",
            r"Names are relative to the data folder. To group by the text before the last underscore: '(.*)_\d+'.",
        )
    return [text or None for text in texts]


def _key(photos: Sequence[Photo], texts: Sequence[str | None]) -> str:
    said = [text for text in texts if text is not None]
    if said:
        return hashlib.sha256(f"group:{min(said)}".encode("utf-8", "surrogateescape")).hexdigest()
    original = max(
        photos, key=lambda photo: (photo.facts.width_px * photo.facts.height_px, photo.size_bytes, photo.sha256)
    )
    return original.sha256


def _refuse_too_few(photos: Sequence[Photo], keys: Sequence[str], splits: int) -> None:
    distinct: dict[str, set[str]] = {}
    for photo, key in zip(photos, keys, strict=True):
        distinct.setdefault(photo.label, set()).add(key)
    few = sorted(label for label, found in distinct.items() if len(found) < splits)
    if few:
        count = len(distinct[few[0]])
        raise DataError(
            f"Class {few[0]!r} has only {count} unrelated photo{'s' if count > 1 else ''} or"
            f" group{'s' if count > 1 else ''}"
            f" of photos; {splits} splits need at least {splits}.",
            "Add photos, request fewer splits, or use a less general --group-by.",
        )


def _refuse_empty(photos: Sequence[Photo], splits: Sequence[str], wanted: Sequence[str], keeping: bool) -> None:
    """Refuses a class that has no photo in a split because of groups over several classes or of kept photos."""
    present = {(photo.label, split) for photo, split in zip(photos, splits, strict=True)}
    for label in sorted({photo.label for photo in photos}):
        for split in wanted:
            if (label, split) not in present:
                raise DataError(
                    f"No photo of class {label!r} is left for {split}.",
                    "Photos listed by --keep cannot be moved there. Add photos, or request fewer splits."
                    if keeping
                    else "Its photos are related to photos of other classes. Try another --seed or a less general"
                    " --group-by.",
                )
