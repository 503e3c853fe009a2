"""``zoo data split``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.errors import DataError, UsageError
from zoo.figures import percent
from zoo.terminal import readable

if TYPE_CHECKING:
    from zoo.audit.division import Division
    from zoo.audit.photos import Photos
    from zoo.data.card import CardPart


@click.command("split")
@click.argument("data")
@click.option("--test", default=0.2, show_default=True, help="Share of all photos that measures, 0 to 1.")
@click.option("--val", default=0.1, show_default=True, help="Share of all photos that chooses, 0 to 1.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, another division.")
@click.option(
    "--group-by",
    metavar="REGEX",
    help=r"Photos whose names share what this finds stay on one side: 'subject(\d+)', '(.*)_\d+'.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="MANIFEST",
    help="An earlier manifest: what it names keeps its side, only other photos are divided.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("manifest.csv"), show_default=True, help="The manifest."
)
@click.option("--copy", type=click.Path(path_type=Path), help="Also copy the photos to DIR/<split>/<class>/.")
@click.option("--link", type=click.Path(path_type=Path), help="Also make such a folder of symbolic links.")
@click.option("--backbone", metavar="ARCHITECTURE", help="Whose features find twins.  [default: the first]")
def command(
    data: str,
    test: float,
    val: float,
    seed: int,
    group_by: str | None,
    keep: Path | None,
    out: Path,
    copy: Path | None,
    link: Path | None,
    backbone: str | None,
) -> None:
    """Divide photos into train, val and test, keeping near-duplicates on one side.

    Writes a manifest, path,label,split,sha256, that `zoo train --data manifest.csv` takes, and dataset.md beside it.
    No photo is moved or changed. Where a photo goes follows from its content and the seed. A class that chance treats
    badly is evened out, so in small classes photos that you add later may move others: --keep the manifest you have,
    and they move none.

    \b
    zoo data split photos/ --test 0.2 --val 0.1
    zoo data split photos/ --group-by 'subject(\\d+)' --out split.csv
    zoo data split photos/ --keep manifest.csv --out manifest2.csv
    """
    from zoo.audit.division import check_expression, check_shares
    from zoo.audit.manifest import copy_file, link_file, read_kept, refuse_existing, write_division

    check_shares(test, val)
    if group_by is not None:
        check_expression(group_by)
    if copy and link:
        raise UsageError("--copy and --link both make a folder.", "Give one of them.")
    folder = copy or link
    refuse_existing(out, folder, keep)
    kept = read_kept(keep) if keep else {}
    from zoo.audit.audit import read_and_compare
    from zoo.audit.division import divide
    from zoo.backend import start_keras
    from zoo.progress import make_reporter

    photos, twins = read_and_compare(data, backbone, start_keras, make_reporter())
    told = _told_of_kept(photos, kept, keep) if keep else []
    division = divide(photos.photos, twins, test, val, seed, group_by, kept)
    told += _told_of_groups(photos, division)
    part = _card(photos, division, out, told)  # reads files of the user: before anything is written
    card = write_division(out, photos.photos, division.splits, part, folder, copy_file if copy else link_file)
    for line in _summary(photos, division, told):
        click.echo(readable(line))
    click.echo(f"  manifest  {out}\n  card      {card}" + (f"\n  folder    {folder}" if folder else ""))


def _counts(photos: Photos, splits: Sequence[str]) -> dict[str, dict[str, int]]:
    counts = {split: dict.fromkeys(photos.labels, 0) for split in ("train", "val", "test") if split in splits}
    for photo, split in zip(photos.photos, splits, strict=True):
        counts[split][photo.label] += 1
    return counts


def _told_of_kept(photos: Photos, kept: Mapping[str, str], keep: Path) -> list[str]:
    contents = set(photos.contents)
    here = sum(sha256 in kept for sha256 in photos.contents)
    if not here:
        raise DataError(
            f"None of the {len(kept)} photos that '{keep}' names is in '{photos.source}'.",
            "Give the manifest of this data, or leave out --keep.",
        )
    return [f"Kept as in {keep.name}: {here}. New: {len(photos) - here}. Gone since: {len(kept.keys() - contents)}."]


def _told_of_groups(photos: Photos, division: Division) -> list[str]:
    lines = []
    if division.groups:
        lines.append(f"{division.grouped} photos belong together in {division.groups} groups, each kept on one side.")
    if division.torn:
        group = sorted(division.torn[0], key=lambda index: division.splits[index])
        shown = [f"{photos.photos[index].name} ({division.splits[index]})" for index in (group[0], group[-1])]
        lines.append(
            f"{len(division.torn)} group(s) of photos that belong together lie on several sides, such as"
            f" {' and '.join(shown)}: they are kept there, and measure too well. New ones of them are held out."
        )
    return lines


def _summary(photos: Photos, division: Division, told: Sequence[str]) -> list[str]:
    counts = _counts(photos, division.splits)
    width = max(len(label) for label in (*photos.labels, "class"))
    lines = [f"{'class':<{width}}" + "".join(f"  {split:>14}" for split in counts)]
    rows = [(label, [of[label] for of in counts.values()]) for label in photos.labels]
    rows.append(("all", [sum(of.values()) for of in counts.values()]))
    for label, every in rows:
        cells = "".join(f"  {count:>6} ({percent(count / max(sum(every), 1), 0):>5})" for count in every)
        lines.append(f"{label:<{width}}{cells}")
    lines += told
    if any(photo.split for photo in photos.photos):
        lines.append("The splits that the data had are not used.")
    if photos.skipped:
        first = photos.skipped[0]
        lines.append(f"{len(photos.skipped)} file(s) left out; such as {first.name}: {first.reason}")
    return lines


def _card(photos: Photos, division: Division, out: Path, told: Sequence[str]) -> CardPart:
    from zoo.data.card import CardPart, licences_beside

    notes = [
        f"The manifest is {out.name}; its hashes say whether a file is still the one that was split.",
        *told,
    ]
    if photos.skipped:
        notes.append(f"{len(photos.skipped)} files could not be used and are left out.")
    return CardPart(
        key="split",
        title="Split",
        command=shlex.join(["zoo", *sys.argv[1:]]),
        sources=[(photos.source, len(photos))],
        counts=_counts(photos, division.splits),
        licences=licences_beside(photos.root),
        notes=notes,
    )
