"""``zoo data fetch imagenet``."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import click

from zoo.cli.data.fetch.options import DRY_RUN, OUT, ListCommand
from zoo.errors import ZooError


@click.command("imagenet", cls=ListCommand)
@click.option(
    "--synsets",
    multiple=True,
    required=True,
    metavar="ID|NAME...",
    help='WordNet IDs such as n04118538, or names such as "rugby ball".',
)
@click.option(
    "--from",
    "source",
    required=True,
    type=click.Path(path_type=Path),
    help="Your copy of ImageNet: a folder or a tar file.",
)
@OUT
@click.option("--limit", type=click.IntRange(1), help="Maximum number of images per class.  [default: all]")
@DRY_RUN
def command(synsets: tuple[str, ...], source: Path, out: Path, limit: int | None, dry_run: bool) -> None:
    """Extract classes from your own copy of ImageNet. Nothing is downloaded.

    The copy is ILSVRC2012_img_train.tar, tar files of single classes, or class folders. It is not changed.

    \b
    zoo data fetch imagenet --synsets n04118538 n04254680 --from ILSVRC2012_img_train.tar --out photos/
    zoo data fetch imagenet --synsets "rugby ball" "soccer ball" --from /data/imagenet --out photos/
    """
    from zoo.cli.data.fetch.running import command_line, megabytes, tell_end, tell_interrupted
    from zoo.fetch.folder import ImageFolder, write_record
    from zoo.fetch.imagenet.source import open_copy
    from zoo.fetch.imagenet.synsets import known_synsets, resolve_synsets
    from zoo.fetch.imagenet.take import listed, take
    from zoo.progress import make_reporter

    folder = ImageFolder(out)
    copy = open_copy(source)
    classes = resolve_synsets(synsets, copy.wnids, known_synsets())
    sizes = [(one.folder, one.member.size_bytes) for one in listed(copy, classes, folder, limit)]
    counts = Counter(label for label, _ in sizes)
    planned = ", ".join(f"{label} {count}" for label, count in counts.items())
    summary = f"{len(sizes)} files ({planned}), {megabytes(sum(size for _, size in sizes))}"
    if dry_run:
        click.echo(f"{summary}. No image was extracted.")
        return
    reporter = make_reporter()
    reporter.stage(f"Extracting {summary}, from {source} into {out}")
    count = reporter.counter("images")
    done = 0

    def progress(looked_at: int) -> None:
        nonlocal done
        done = looked_at
        count(looked_at, len(sizes))

    with folder.filling():
        try:
            taken = take(copy, classes, folder, limit, min(8, os.cpu_count() or 1), progress)
        except (KeyboardInterrupt, SystemExit):
            tell_interrupted(reporter, done, len(sizes))
            raise
        except ZooError:
            reporter.stage("Stopped by an error.")
            raise
        write_record(folder, command_line(), ["ImageNet is for non-commercial research and education only."])
        folder.complete()
    came = Counter(dict.fromkeys(counts, 0))
    came.update(one.folder for one, _ in taken.kept)
    tell_end(folder, came, taken.new, taken.failures)
