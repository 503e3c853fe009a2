"""``zoo data split``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from zoo.figures import percent
from zoo.table import Column, table, terminal_width
from zoo.terminal import readable


@click.command("split")
@click.argument("data")
@click.option("--test", default=0.2, show_default=True, help="Share of test photos, 0 to 1.")
@click.option("--val", default=0.1, show_default=True, help="Share of validation photos, 0 to 1.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the split.")
@click.option(
    "--group-by",
    metavar="REGEX",
    help=r"Photos whose names give the same match stay in one split: 'subject(\d+)', '(.*)_\d+'.",
)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="MANIFEST",
    help="Earlier manifest: its photos keep their split, and only new photos are assigned.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("manifest.csv"), show_default=True, help="Manifest to write."
)
@click.option("--copy", type=click.Path(path_type=Path), help="Also copy the photos to PATH/<split>/<class>/.")
@click.option(
    "--link",
    type=click.Path(path_type=Path),
    help="Also create PATH/<split>/<class>/ with symbolic links to the photos.",
)
@click.option(
    "--backbone",
    metavar="ARCHITECTURE",
    help="Architecture whose features are compared to find near-duplicates.  [default: the first with pretrained"
    " weights]",
)
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
    """Split photos into train, val and test, keeping near-duplicates in one split.

    Writes a manifest with the columns path,label,split,sha256 for `zoo train --data manifest.csv`, and dataset.md next
    to it. No photo is moved or changed. The split of a photo depends on its content and the seed. Small classes are
    balanced afterwards, so photos that you add later may change the split of others. To prevent this, pass the
    existing manifest with --keep.

    \b
    zoo data split photos/ --test 0.2 --val 0.1
    zoo data split photos/ --group-by 'subject(\\d+)' --out split.csv
    zoo data split photos/ --keep manifest.csv --out manifest2.csv
    """
    from zoo.progress import make_reporter
    from zoo.workflows.split import SplitRequest
    from zoo.workflows.split import split as divide

    request = SplitRequest(
        data=data,
        test=test,
        val=val,
        seed=seed,
        group_by=group_by,
        keep=keep,
        out=out,
        copy=copy,
        link=link,
        backbone=backbone,
    )
    found = divide(request, make_reporter())
    click.echo(_table(found.counts))
    for line in found.told:
        click.echo(readable(line))
    click.echo(
        f"  manifest  {out}\n  card      {found.card}" + (f"\n  folder    {found.folder}" if found.folder else "")
    )


def _table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """One row per class and one for the total: number and share of the photos in each split."""
    rows: dict[str, list[int]] = {}
    for of_class in counts.values():
        for label, count in of_class.items():
            rows.setdefault(label, []).append(count)
    totals = [sum(of_class.values()) for of_class in counts.values()]
    cells = [
        (label, *(f"{count} ({percent(count / max(sum(every), 1), 0):>5})" for count in every))
        for label, every in (*rows.items(), ("all", totals))
    ]
    return table((Column("class", "name"), *map(Column, counts)), cells, terminal_width())
