"""``zoo verify``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli.options import chosen_gates, gate_options, lone_options, runs_option
from zoo.table import terminal_width


@click.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--against", required=True, metavar="RUN", help="Reference model: a run, an architecture or a .keras file."
)
@click.option(
    "--weights",
    help="Compare with an architecture with these pretrained weights, such as imagenet, instead of a run.",
)
@lone_options
@click.option("--data", help="Images to compare on: folder, CSV file or name.  [default: the run's test images]")
@runs_option
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of threads of the file's runtime.",
)
@click.option(
    "--processor",
    metavar="NAME",
    help="Predict on this emulated processor with the bundle's own run.py, and record the result in the bundle: "
    "cortex-a72 (Raspberry Pi 4), cortex-a76 (Raspberry Pi 5), or any other that qemu-aarch64 knows.",
)
@click.option("--fetch", is_flag=True, help="Download what --processor needs, about 250 MB.")
@gate_options
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a report page, such as verify.html."
)
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
    processor: str | None,
    fetch: bool,
    min_agreement: float | None,
    max_accuracy_drop: float | None,
    max_difference: float | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Compare the predictions of an exported file and of its Keras model on the same image files.

    The suffix of FILE determines its format. If FILE is the folder of a bundle, the model file in it is used. RUN is
    the folder or the name of a run, an architecture, or a .keras file. For an architecture, its newest finished run is
    used, or its pretrained weights if it has no run. The exit code is 6 if the predictions differ by more than the
    file's precision allows.
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
        processor=processor,
        fetch=fetch,
    )
    reporter = make_reporter()
    verified = verify(request, reporter)
    found = verified.verification
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else render(found, terminal_width()))
    for sentence in found.warnings if as_json else ():  # the text contains them already
        reporter.warning(sentence)
    if report is not None and not as_json:
        click.echo(f"\nwritten to {verified.report}")
    verified.refuse()
    if not as_json:
        verdict = "Passed on thin evidence" if found.thin else "Verified"
        click.echo(f"\n{verdict}: {verified.file} agrees with {verified.reference}{verified.where}.")
