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
    """A line a class, and one for all: photos of each split, with their share."""
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
