"""Messages before, during and after the download of images."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Sequence

import click

from zoo.errors import DataError, ZooError
from zoo.fetch.download import Downloader, Wanted
from zoo.fetch.folder import FAILED, Failure, ImageFolder, write_record
from zoo.progress import make_reporter
from zoo.reporter import Reporter
from zoo.table import Column, prose, table, terminal_width

#: Number of files whose size is requested. The average is assumed for the others.
_SAMPLE = 20


def command_line() -> str:
    return shlex.join(["zoo", *sys.argv[1:]])


def tell_plan(wanted: Sequence[Wanted], folder: ImageFolder, downloader: Downloader) -> None:
    """Prints the number and size of the images for ``--dry-run``, and that none was downloaded."""
    missing = [item for item in wanted if not folder.has(item.folder, item.stem)]
    counts = Counter(item.folder for item in wanted)
    click.echo(f"{_counted(counts)}: {len(wanted) - len(missing)} present, {len(missing)} to download.")
    if missing:
        click.echo(_size(missing, downloader))
    click.echo(f"{free_on_disk(folder)} No image was downloaded.")


def fetch(
    wanted: Sequence[Wanted],
    failures: Sequence[Failure],
    notes: Sequence[str],
    folder: ImageFolder,
    downloader: Downloader,
) -> None:
    """Downloads the missing images and prints a summary.

    Raises:
        DataError: A class is empty, the network failed, or the disk is full.
    """
    reporter = make_reporter()
    with folder.filling():
        missing = sum(not folder.has(item.folder, item.stem) for item in wanted)
        reporter.stage(f"Downloading {missing} images into {folder.root}; {len(wanted) - missing} are present")
        try:
            done = downloader.run(wanted, folder, failures, reporter.counter("images"))
        except (KeyboardInterrupt, SystemExit):
            tell_interrupted(reporter, sum(1 for item in wanted if folder.has(item.folder, item.stem)), len(wanted))
            raise
        except ZooError:
            reporter.stage("Stopped by an error.")
            raise
        write_record(folder, command_line(), [*notes, *_left_out(done.failures)])
        if not any(failure.temporary for failure in done.failures):
            folder.complete()
    counts = Counter({item.folder: 0 for item in wanted})
    counts.update(item.folder for item, _ in done.kept)
    tell_end(folder, counts, done.new, done.failures)


def tell_interrupted(reporter: Reporter, there: int, total: int) -> None:
    """Reported as a stage, because that also closes the progress bar."""
    reporter.stage(f"Interrupted. {there} of {total} images are complete. Run the same command to continue.")


def tell_end(folder: ImageFolder, counts: Counter[str], new: int, failures: Sequence[Failure]) -> None:
    """Prints the summary: the number of images of each requested class.

    Raises:
        DataError: A class is empty, or the network failed. Exit code 4 then stops a pipeline.
    """
    window = terminal_width()
    click.echo(prose([f"{folder.root}: {_counted(counts)}; {new} new."], window))
    if failures:
        click.echo(prose([f"{len(failures)} downloads failed; see {folder.root / FAILED}:"], window))
        reasons = Counter(failure.reason for failure in failures).most_common(8)
        rows = [(str(count), reason) for reason, count in reasons]
        click.echo(table((Column(""), Column("", "text")), rows, window, "  "))
    empty = [label for label, count in sorted(counts.items()) if not count]
    waiting = [failure for failure in failures if failure.temporary]
    if waiting:
        raise DataError(
            f"{len(waiting)} downloads failed because of the network or a server.{_such_as(waiting)}",
            "Run the same command to try again. The images that are present stay usable.",
        )
    why = f"See {folder.root / FAILED} for the reasons." if failures else None
    if not counts.total():
        raise DataError(f"No image could be downloaded.{_such_as(failures)}", why)
    if empty:
        raise DataError(f"No image could be downloaded for {', '.join(empty)}.", why)
    click.echo(f"Next: zoo data check {shlex.quote(str(folder.root))}")


def _such_as(failures: Sequence[Failure]) -> str:
    return f" For example {failures[0].url}: {failures[0].reason}." if failures else ""


def megabytes(size_bytes: float) -> str:
    for unit in ("GB", "MB", "kB"):
        if size_bytes >= 1000 ** {"GB": 3, "MB": 2, "kB": 1}[unit]:
            return f"{size_bytes / 1000 ** {'GB': 3, 'MB': 2, 'kB': 1}[unit]:.3g} {unit}"
    return f"{size_bytes:.0f} bytes"


def _size(missing: Sequence[Wanted], downloader: Downloader) -> str:
    known = [item.size_bytes for item in missing if item.size_bytes is not None]
    if len(known) == len(missing):
        return f"Size: {megabytes(sum(known))}, according to the list."
    step = max(1, len(missing) // _SAMPLE)
    sizes = downloader.sizes([item.url for item in missing[::step][:_SAMPLE]])
    if not sizes:
        return "Size: unknown, because no server reports it."
    if len(sizes) == len(missing):
        return f"Size: {megabytes(sum(sizes))}, according to the servers."
    return f"Size: about {megabytes(sum(sizes) / len(sizes) * len(missing))}, estimated from {len(sizes)} of them."


def _counted(counts: Counter[str]) -> str:
    classes = ", ".join(f"{label} {count}" for label, count in sorted(counts.items())[:10])
    more = f" and {len(counts) - 10} more classes" if len(counts) > 10 else ""
    return f"{sum(counts.values())} images ({classes}{more})" if counts else "no image"


def _left_out(failures: Sequence[Failure]) -> list[str]:
    return [f"{len(failures)} downloads failed; see failed.csv."] if failures else []


def free_on_disk(folder: ImageFolder) -> str:
    """Free space on the disk of a folder, as a sentence."""
    path = folder.root.absolute()
    there = next(one for one in (path, *path.parents) if one.exists())
    return f"Free disk space: {megabytes(shutil.disk_usage(there).free)}."
