"""``zoo verify``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli.options import chosen_gates, gate_options, lone_options, runs_option
from zoo.table import terminal_width


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--against", required=True, metavar="RUN", help="What it should predict like: run, architecture, .keras.")
@click.option("--weights", help="Compare with an architecture with pretrained weights instead: imagenet.")
@lone_options
@click.option("--data", help="Images to ask both: folder, CSV or name.  [default: the run's test images]")
@runs_option
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of the file's runtime.")
@gate_options
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a page on it: verify.html.")
@click.option("--json", "as_json", is_flag=True, help="Print verify.json.")
def command(
    file: Path,
    against: str,
    weights: str | None,
    labels: Path | None,
    pixels: str | None,
    data: str | None,
    runs: Path,
    threads: int,
    min_agreement: float | None,
    max_accuracy_drop: float | None,
    max_difference: float | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Ask an exported file and the Keras model it was made from about the same image files.

    FILE says in its name's suffix which format it is; the folder of a bundle stands for the file in it. RUN is a run
    folder, or an architecture: its newest finished run; with none, the architecture with its pretrained weights; or a
    .keras file. Ends with 6 where the answers differ by more than the file's precision allows.
    """
    from zoo.parity import render
    from zoo.progress import make_reporter
    from zoo.workflows.verify import VerifyRequest, verify

    request = VerifyRequest(
        file=file,
        against=against,
        weights=weights,
        labels=labels,
        pixels=pixels,
        data=data,
        runs=runs,
        threads=threads,
        gates=chosen_gates(min_agreement, max_accuracy_drop, max_difference),
        report=report,
    )
    reporter = make_reporter()
    verified = verify(request, reporter)
    found = verified.verification
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else render(found, terminal_width()))
    for sentence in found.warnings if as_json else ():  # the text holds them already
        reporter.warning(sentence)
    if report is not None and not as_json:
        click.echo(f"\nwritten to {verified.report}")
    verified.refuse()
    if not as_json:
        verdict = "Passed on thin evidence" if found.thin else "Verified"
        click.echo(f"\n{verdict}: {verified.file} predicts like {verified.reference}.")
