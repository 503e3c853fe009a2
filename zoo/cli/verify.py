"""``zoo verify``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.atomic import make_folder, writable
from zoo.cli.options import chosen_gates, gate_options, lone_options, runs_option
from zoo.cli.overlap import calibrating_images, tell_files, tell_overlap
from zoo.cli.ranges import tell_pixels
from zoo.edge.bundle import read_bundle
from zoo.errors import VerificationError

if TYPE_CHECKING:
    from zoo.data import ImageData


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
    from zoo.cli.runs import described, find_model
    from zoo.parity import (
        acceptance,
        ask_unused,
        default_gates,
        exporter_of,
        keras_answers,
        precision_of,
        render,
        unused_images,
        verification_images,
        verify,
    )

    if file.is_dir():
        file = read_bundle(file).model_path
    if report is not None:
        make_folder(report.parent)
        report = writable(report)
    exporter = exporter_of(file)
    metadata, runtime = exporter.read_metadata(file), exporter.load(file, threads)  # before the work, not after it
    precision = precision_of(metadata, runtime.inputs)
    reference = find_model(against, runs, weights, labels, pixels)
    from zoo.progress import make_reporter

    reporter = make_reporter()
    for note in reference.notes:
        reporter.note(note)
    images, split = verification_images(reference, data, reporter.counter("decoding"))
    tell_files(images, reporter)
    calibrating = calibrating_images(file)
    tell_overlap(reference, images, split, reporter, calibrating or ())
    unused = None
    if precision == "int8":
        images = _without(images, split, calibrating or set())
        if data is None:
            judged = {images.contents[index] for index in images.indices(split)}
            unused = unused_images(reference, judged, calibrating, reporter.counter("decoding"))
    if data is None and split != "test":
        reporter.note(f"The run has no test images; these are its {split} images, which chose the model.")
    from zoo.cli.backend import start_keras

    start_keras()
    tell_pixels(reference, images, split, pixels, reporter)
    reporter.stage(f"Asking Keras: {described(against, reference)}")
    expected = keras_answers(reference, images, split, reporter.counter("asking Keras"))
    reporter.stage(f"Asking {file}")
    found = verify(
        exporter,
        file,
        reference,
        images,
        split,
        gates=replace(default_gates(precision), **chosen_gates(min_agreement, max_accuracy_drop, max_difference)),
        threads=threads,
        progress=reporter.counter("asking the file"),
        expected=expected,
        unused=ask_unused(reference, unused, reporter.counter("asking Keras")),
    )
    if report is not None:
        from zoo.report.verification import write_verification_page

        write_verification_page(found, images.root, report)
    click.echo(json.dumps(found.as_dict(), indent=2) if as_json else render(found))
    if as_json:  # the text holds them already
        from zoo.cli.summary import warn

        warn(found.warnings)
    if report is not None and not as_json:
        click.echo(f"\nwritten to {report}")
    if not found.passed:
        options = acceptance(found)
        hints = [f"{options} would let it pass."] if options else []
        raise VerificationError(
            f"{file} does not predict like {reference.name}.", "\n  ".join([*found.failures, *hints])
        )
    if not as_json:
        verdict = "Passed on thin evidence" if found.thin else "Verified"
        click.echo(f"\n{verdict}: {file} predicts like {reference.name}.")


def _without(images: ImageData, split: str, calibrating: set[str]) -> ImageData:
    """Leaves out the images that made the file, as long as others are left."""
    splits = tuple(
        "train" if name == split and content in calibrating else name
        for name, content in zip(images.splits, images.contents, strict=True)
    )
    return replace(images, splits=splits) if split in splits else images
