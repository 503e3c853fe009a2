"""``zoo data fetch urls``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.data.fetch.options import DRY_RUN, JOBS, OUT


@click.command("urls")
@click.argument("file", metavar="FILE.csv", type=click.Path(path_type=Path))
@OUT
@JOBS
@click.option(
    "--max-mb", type=click.FloatRange(0.001, 1000), default=50.0, show_default=True, help="Maximum size of an image."
)
@click.option("--allow-private", is_flag=True, help="Also allow URLs of this machine and of private networks.")
@DRY_RUN
def command(file: Path, out: Path, jobs: int, max_mb: float, allow_private: bool, dry_run: bool) -> None:
    """Download the photos of a CSV file with the columns url,label.

    Optional columns: md5, sha256, licence, author, author_page, page, title. Files that are not images are not kept.
    URLs of this machine and of private networks are refused, and so are redirects to them.

    \b
    zoo data fetch urls balls.csv --out photos/
    """
    from zoo.cli.data.fetch.running import fetch, tell_plan
    from zoo.fetch.addresses import Access
    from zoo.fetch.download import Downloader
    from zoo.fetch.folder import ImageFolder
    from zoo.fetch.url_list import read_url_list

    folder = ImageFolder(out)
    found = read_url_list(file, folder.labels)
    downloader = Downloader(Access(allow_private), jobs=jobs, max_bytes=int(max_mb * 10**6))
    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    if dry_run:
        if found.failures:
            first = found.failures[0]
            click.echo(f"{len(found.failures)} rows cannot be downloaded, for example {first.url!r}: {first.reason}.")
        tell_plan(found.wanted, folder, downloader)
    else:
        fetch(found.wanted, found.failures, found.notes, folder, downloader)
