"""``zoo bench``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.errors import UsageError
from zoo.table import terminal_width

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command("bench")
@click.argument("paths", metavar="BUNDLE|FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Number of threads; can be repeated.  [default: 1, 2, 4, ... cores]",
)
@click.option(
    "--seconds", type=click.FloatRange(0.01, 3600), default=2.0, show_default=True, help="Duration of each measurement."
)
@click.option(
    "--sustained",
    type=click.FloatRange(0.01, 3600),
    metavar="SECONDS",
    help="Also run copies of the model on all threads for this time, and record speed, temperature, clock and energy.",
)
@click.option("--device", metavar="NAME", help="Name of this device.  [default: its processor]")
@click.option("--merge", is_flag=True, help="Merge the JSON files of several devices into one table.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file to write; with --merge, the folder for all files."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    paths: tuple[Path, ...],
    threads: tuple[int, ...],
    seconds: float,
    sustained: float | None,
    device: str | None,
    merge: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Measure the latency of exported models on this device, or compare several devices.

    \b
    zoo bench BUNDLE BUNDLE --out laptop.json      on this machine
    python run.py --bench --json > board.json      on the device: in the bundle, without zoo
    zoo bench --merge laptop.json board.json --out devices/

    A BUNDLE is a folder or a .zip file written by zoo export. A FILE is an exported file without its bundle; it is
    timed with synthetic images instead of photos. Every measurement runs in a new process and takes about seven times
    --seconds for each number of threads. --merge shows every device and file in a table. With --out, it also writes
    the table as CSV and JSON, and as a page with a plot of accuracy, latency and size.
    """
    if merge:
        given = {"--threads": threads, "--device": device, "--sustained": sustained}
        for name in (name for name, value in given.items() if value):
            raise UsageError(f"{name} cannot be combined with --merge.")
        _merge(paths, out, as_json)
    else:
        _bench(paths, threads, seconds, sustained, device, out, as_json)


def _bench(
    paths: Sequence[Path],
    threads: Sequence[int],
    seconds: float,
    sustained: float | None,
    device: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from zoo.atomic import make_folder, write_json
    from zoo.edge.bench import as_text, bench, report
    from zoo.exporting.staged import staged
    from zoo.progress import make_reporter

    if out is not None and out.is_dir():
        raise UsageError(f"--out must be a file. '{out}' is a folder.")
    for path in paths:
        if not path.exists():
            raise UsageError(
                f"'{path}' does not exist.",
                "Bundles are written by zoo export, into RUN/exports/, each also as a .zip file.",
            )
    if out is not None:
        make_folder(out.parent)
    reporter = make_reporter()
    results = []
    for path in paths:
        with staged(path) as folder:
            results.append(bench(folder, sorted(set(threads)), seconds, reporter.stage, sustained))
    found = report(results, device)
    if out is not None:
        write_json(out, found)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    machine = found["device"]
    click.echo(f"{machine['name']}; {machine['system']}, Python {machine['python']}")
    for result in results:
        click.echo(f"\n{as_text(result, terminal_width())}")
    if out is not None:
        click.echo(f"\nwritten to {out}")


def _merge(paths: Sequence[Path], out: Path | None, as_json: bool) -> None:
    from zoo.report.bench_table import merged

    found = merged(paths)
    for note in found.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else found.as_text(terminal_width()))
    if out is not None:
        from zoo.report.devices import write_devices

        written = write_devices(found, out)
        if not as_json:
            click.echo(f"\nwritten to {', '.join(map(str, written))}")
