"""``zoo export``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from zoo.cli.options import chosen_gates, gate_options, lone_options, runs_option
from zoo.interfaces import INT8_EFFORTS, PRECISIONS


@click.command("export")
@click.argument("model", metavar="RUN")
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="NAME",
    help="Format, such as tflite; can be repeated.  [default: all file formats]",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    metavar="|".join(PRECISIONS),
    help="Precision; can be repeated.  [default: float32]",
)
@click.option("--data", help="Images to verify on: folder, CSV file or name.  [default: the run's test images]")
@click.option(
    "--calibration",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Further photos for the calibration of int8, without labels, such as those of the device's camera.",
)
@click.option(
    "--int8-effort",
    type=click.Choice(INT8_EFFORTS),
    help="Time for the quantisation: quick takes less, best comes closer to the float model.  [default: best]",
)
@click.option(
    "--weights",
    help="Export an architecture with these pretrained weights, such as imagenet, instead of a run.",
)
@lone_options
@runs_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files.  [default: RUN/exports]")
@click.option(
    "--no-verify",
    is_flag=True,
    help="Do not compare the files with Keras. Their metadata records that they are unverified.",
)
@click.option("--no-photos", is_flag=True, help="Include no photos in the bundle and its report.")
@click.option("--with-map", is_flag=True, help="Add a second output: the evidence map of each class.")
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    model: str,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    data: str | None,
    calibration: Path | None,
    int8_effort: str | None,
    weights: str | None,
    labels: Path | None,
    pixels: str | None,
    runs: Path,
    out: Path | None,
    no_verify: bool,
    no_photos: bool,
    with_map: bool,
    min_agreement: float | None,
    max_accuracy_drop: float | None,
    max_difference: float | None,
    as_json: bool,
) -> None:
    """Export a trained model to files for other runtimes, each verified against Keras.

    RUN is the folder or the name of a run, an architecture, or a .keras file. For an architecture, its newest finished
    run is used. If it has no run, its pretrained weights are exported, which needs --data. A file whose predictions do
    not agree with Keras is not kept (exit code 6). int8 is calibrated on the run's training images, or, without a run,
    on half of --data. The photos of --calibration are used in addition to the training images, or, without a run,
    instead of --data.
    """
    from zoo.cli.export_table import as_dict, told, verify_options
    from zoo.progress import make_reporter
    from zoo.workflows.export import ExportRequest, export

    gates = chosen_gates(min_agreement, max_accuracy_drop, max_difference)
    request = ExportRequest(
        model=model,
        formats=formats,
        precisions=precisions,
        data=data,
        calibration=calibration,
        weights=weights,
        labels=labels,
        pixels=pixels,
        runs=runs,
        out=out,
        verify=not no_verify,
        photos=not no_photos,
        gates=gates,
        with_map=with_map,
        int8_effort=int8_effort,
    )
    exported = export(request, make_reporter())
    if as_json:
        click.echo(json.dumps([as_dict(item) for item in exported.targets], indent=2))
    else:
        for line in told(exported.targets, verify_options(request, exported.model)):
            click.echo(line)
    exported.refuse()
