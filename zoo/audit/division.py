"""Which photo trains, which chooses, which measures: stratified, seeded, twins and bursts on one side.

As everywhere in zoo the side follows from a hash and the seed alone (``zoo.data.splits``), here from a hash for each
group of photos that belong together. The hash of a group of twins is that of its largest member, most likely the
original: smaller copies that are added later change nothing. A small class is evened out, and there an added photo can
move another; what an earlier division is said to keep stays where it was.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from zoo.audit.duplicates import Twins, groups
from zoo.audit.photos import Photo
from zoo.data.source import TEST, TRAIN, VAL
from zoo.data.splits import Labelled, Shares, assign_splits, unit
from zoo.errors import DataError, UsageError


@dataclass(frozen=True)
class Division:
    """What goes where.

    Args:
        splits: Of every photo.
        groups: Groups with more than one photo, all on one side.
        grouped: Photos in them.
        torn: Groups that an earlier division has on several sides: positions of their photos.
    """

    splits: tuple[str, ...]
    groups: int
    grouped: int
    torn: tuple[tuple[int, ...], ...] = ()


def divide(
    photos: Sequence[Photo],
    twins: Sequence[Twins],
    test: float,
    val: float,
    seed: int,
    group_by: str | None = None,
    kept: Mapping[str, str] | None = None,
) -> Division:
    """Divides photos into train, val and test.

    Args:
        photos: All of them.
        twins: Pairs that have to stay on one side.
        test, val: Shares of all photos, 0 to below 1; together below 1 and above 0.
        seed: Another seed, another division.
        group_by: Regular expression; photos in whose name it finds the same text stay on one side. With a group in
            parentheses, the text of that group counts.
        kept: SHA-256 to split of an earlier division. What it names stays there, and only the others are divided.

    Raises:
        UsageError: Shares out of range; an expression that is none, or that finds nothing.
        DataError: A class has fewer groups than there are splits.
    """
    check_shares(test, val)
    texts = _texts(photos, group_by) if group_by is not None else [None] * len(photos)
    first: dict[str, int] = {}
    bursts = [
        Twins(first.setdefault(text, index), index, "near", 1.0) for index, text in enumerate(texts) if text is not None
    ]
    group = groups(len(photos), [*twins, *bursts]).tolist()
    together: dict[int, list[int]] = {}
    for index, name in enumerate(group):
        together.setdefault(name, []).append(index)
    key_of = {
        name: _key([photos[i] for i in indices], [texts[i] for i in indices]) for name, indices in together.items()
    }
    held = _held(photos, together.values(), kept or {})
    # A group that was torn is as many as it has sides.
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
    for label in sorted({photo.label for photo in photos}):
        if fixed:
            _fill(label, labelled, side, fixed, wanted, seed)
        _even_out(label, labelled, side, fixed, shares, seed)
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
    """The side of every photo that is kept, and of those that belong to one.

    Where kept photos of a group lie on several sides, the others join the one that is held out most: training must not
    see more of what measures.
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


def _fill(
    label: str,
    photos: Sequence[Labelled],
    side: dict[str, str],
    fixed: Container[str],
    wanted: Sequence[str],
    seed: int,
) -> None:
    """Gives a class something in every split, of what is not fixed and as far as it can be spared elsewhere."""
    mine = sorted({photo.sha256 for photo in photos if photo.label == label})
    for split in wanted:
        counts = Counter(side[key] for key in mine)
        spare = [key for key in mine if key not in fixed and counts[side[key]] > 1]
        if not counts[split] and spare:
            rank = {key: -unit(key, TEST, seed) if split == TRAIN else unit(key, split, seed) for key in spare}
            side[min(spare, key=rank.__getitem__)] = split


def _even_out(
    label: str, photos: Sequence[Labelled], side: dict[str, str], fixed: Iterable[str], shares: Shares, seed: int
) -> None:
    """Brings a class that chance treated badly to between half and one and a half times its shares, or nearer to them.

    Groups change sides in the order of their hashes, those first that were nearest to the other side. Only here, and
    where a class would have nothing in a split, can a photo that is added move another.
    """
    sizes = Counter(photo.sha256 for photo in photos if photo.label == label)
    movable = set(sizes) - {photo.sha256 for photo in photos if photo.label != label} - set(fixed)
    for split, share in ((TEST, shares.test), (VAL, (1 - shares.test) * shares.val)):
        wanted = share * sizes.total()
        ranked = sorted(movable, key=lambda key: unit(key, split, seed))
        count = sum(size for key, size in sizes.items() if side[key] == split)
        for key in reversed(ranked):
            if side[key] == split and count > 1.5 * wanted:
                left = count - sizes[key]
                small = sum(sizes[other] for other in movable if side[other] == TRAIN and sizes[other] <= wanted)
                reached = max(left, min(left + small, wanted))  # for a group that is too large, smaller ones may come
                if reached > 0 and abs(reached - wanted) < count - wanted:
                    side[key], count = TRAIN, left
        for key in ranked:
            fits = side[key] == TRAIN and count < 0.5 * wanted and count + sizes[key] <= 1.5 * wanted
            if fits and sum(side[other] == TRAIN for other in sizes) > 1:
                side[key], count = split, count + sizes[key]


def check_shares(test: float, val: float) -> None:
    """Raises ``UsageError`` for shares that leave nothing to train on, or nothing to hold out."""
    if not (0 <= test < 1 and 0 <= val < 1 and 0 < test + val < 1):
        raise UsageError(
            f"--test {test:g} --val {val:g} leave {round(1 - test - val, 6):g} of the photos to train on.",
            "Give shares from 0 to below 1 that come to less than 1 together, such as --test 0.2 --val 0.1.",
        )


def check_expression(group_by: str) -> re.Pattern[str]:
    """The compiled expression; ``UsageError`` where it is none."""
    try:
        return re.compile(group_by)
    except re.error as error:
        raise UsageError(f"--group-by {group_by!r} is no regular expression: {error}.") from None


def _texts(photos: Sequence[Photo], group_by: str) -> list[str | None]:
    expression = check_expression(group_by)
    texts = []
    for photo in photos:
        found = expression.search(photo.name)
        texts.append((found[1] if expression.groups else found[0]) if found else None)
    if not any(texts):
        raise UsageError(
            f"--group-by {group_by!r} finds nothing in any of {len(photos)} names, such as {photos[0].name!r}.",
            r"A name is relative to the data folder; to group by what is before the last underscore: '(.*)_\d+'.",
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
            f"Class {few[0]!r} has {count} photo{'s' if count > 1 else ''} or groups of photos that belong together;"
            f" {splits} splits need {splits} at least.",
            "Add photos, ask for fewer splits, or group less.",
        )


def _refuse_empty(photos: Sequence[Photo], splits: Sequence[str], wanted: Sequence[str], keeping: bool) -> None:
    """Groups that reach over several classes can leave one of these without a split, and so can what is kept."""
    present = {(photo.label, split) for photo, split in zip(photos, splits, strict=True)}
    for label in sorted({photo.label for photo in photos}):
        for split in wanted:
            if (label, split) not in present:
                raise DataError(
                    f"No photo of class {label!r} is left for {split}.",
                    "What --keep names cannot move there: add photos, or ask for fewer splits."
                    if keeping
                    else "Its photos belong together with those of other classes: try another --seed, or group less.",
                )
