"""``zoo data fetch openimages``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.data.fetch.options import DRY_RUN, JOBS, OUT, ListCommand
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.fetch.addresses import Access
    from zoo.fetch.folder import ImageFolder
    from zoo.fetch.openimages.files import Index

#: A larger index is not fetched for a dry run.
_DRY_RUN_INDEX_BYTES = 200 * 10**6


@click.command("openimages", cls=ListCommand)
@click.option(
    "--classes", multiple=True, required=True, metavar="NAME...", help="Class names as Open Images spells them."
)
@OUT
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="train",
    show_default=True,
    help="Split of Open Images.",
)
@click.option("--limit", type=click.IntRange(1), help="Maximum number of images per class.  [default: all]")
@click.option(
    "--originals",
    is_flag=True,
    help="Download the original files in full size instead of the mirror's files of 1024 px.",
)
@click.option("--index", envvar="ZOO_OPENIMAGES_INDEX", help="URL or folder of the index files.  [default: Google's]")
@click.option("--images", envvar="ZOO_OPENIMAGES_IMAGES", help="URL of a mirror of the images.  [default: Amazon S3]")
@JOBS
@DRY_RUN
def command(
    classes: tuple[str, ...],
    out: Path,
    split: str,
    limit: int | None,
    originals: bool,
    index: str | None,
    images: str | None,
    jobs: int,
    dry_run: bool,
) -> None:
    """Download photos of Open Images V7 whose class was confirmed by people.

    The index files (3.3 GB for train) are downloaded once and kept in the cache.

    \b
    zoo data fetch openimages --classes "Rugby ball" Football --limit 1000 --out photos/
    zoo data fetch openimages --classes Cat Dog --split validation --out pets/ --dry-run
    """
    from zoo.cli.data.fetch.running import fetch, tell_plan
    from zoo.fetch.download import Downloader
    from zoo.fetch.folder import ImageFolder
    from zoo.fetch.openimages.choose import choose, resolve_classes
    from zoo.fetch.openimages.files import DEFAULT_IMAGES, DEFAULT_INDEX, Index
    from zoo.progress import make_reporter

    index, images = (index or DEFAULT_INDEX).rstrip("/"), (images or DEFAULT_IMAGES).rstrip("/")
    folder = ImageFolder(out)
    downloader = Downloader(_access(index, images), jobs=jobs)
    files = Index(index, downloader.transfer)
    reporter = make_reporter()
    progress = _in_megabytes(reporter.counter("index, MB"))
    named = resolve_classes(classes, files, progress)
    if dry_run and (index_bytes := _missing_index_bytes(files, split, originals)) > _DRY_RUN_INDEX_BYTES:
        _tell_bound(index_bytes, len(named), limit, originals, folder)
        return
    reporter.stage(f"Choosing images of {', '.join(named)} in {split}")
    image_url = None if originals else lambda image_id: f"{images}/{split}/{image_id}.jpg"
    choice = choose(named, split, limit, files, folder.labels, image_url, progress)
    for name, verified in choice.verified.items():
        chosen = sum(item.folder == folder.labels.name(name) for item in choice.wanted)
        reporter.stage(f"  {name}: {chosen} chosen of {verified} with a confirmed label")
    for note in choice.notes:
        reporter.note(note)
    if dry_run:
        tell_plan(choice.wanted, folder, downloader)
        return
    licence = "Open Images lists its images as CC BY 2.0 without guarantee; check each licence before you publish."
    fetch(choice.wanted, choice.failures, [*choice.notes, licence], folder, downloader)


def _access(index: str, images: str) -> Access:
    """Allows all addresses for the servers that the user named. Other servers, which the index or a redirect names,
    must have a public address."""
    from zoo.fetch.addresses import Access, check_url, host_and_port
    from zoo.fetch.errors import RefusedError

    trusted = set()
    for option, url in (("--index", index), ("--images", images)):
        if option == "--index" and "://" not in url:
            continue
        try:
            trusted.add(host_and_port(check_url(url)))
        except RefusedError as error:
            raise UsageError(f"{option} {url}: {error.reason}.", "Give a URL such as https://host/folder.") from None
    return Access(trusted=frozenset(trusted))


def _missing_index_bytes(files: Index, split: str, originals: bool) -> int:
    """Size of the index files that must be downloaded before the images are known."""
    from zoo.fetch.openimages.files import IMAGES, LABELS

    missing = [names for names in (LABELS[split], IMAGES[split][:: -1 if originals else 1]) if not files.on_disk(names)]
    return sum(files.size_bytes(names) or 0 for names in missing)


def _tell_bound(index_bytes: int, classes: int, limit: int | None, originals: bool, folder: ImageFolder) -> None:
    """Prints an upper bound for ``--dry-run`` if the index is missing."""
    from zoo.cli.data.fetch.running import free_on_disk, megabytes
    from zoo.fetch.openimages.files import MIRROR_IMAGE_BYTES, ORIGINAL_IMAGE_BYTES

    click.echo(
        f"The number of images is listed in the index ({megabytes(index_bytes)}), which is not in the cache yet."
    )
    whose, image_bytes = ("originals", ORIGINAL_IMAGE_BYTES) if originals else ("public mirror", MIRROR_IMAGE_BYTES)
    each = f"{megabytes(image_bytes)} per image on average ({whose})"
    if limit is None:
        click.echo(f"Size: unknown without --limit; {each}.")
    else:
        size = megabytes(limit * classes * image_bytes)
        click.echo(f"At most {limit * classes} images, {limit} per class. Size: at most about {size}, {each}.")
    click.echo(f"{free_on_disk(folder)} Without --dry-run, the index is downloaded first.")
    click.echo("No image was downloaded, and no index file except the list of classes.")


def _in_megabytes(count: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """Converts the counts to megabytes. Small files are not reported, because their download takes too little time."""

    def count_bytes(done: int, total: int) -> None:
        if total >= 10**7:
            count(-(-done // 10**6), -(-total // 10**6))

    return count_bytes
