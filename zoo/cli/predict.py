"""``zoo predict``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import on_option, runs_option
from zoo.errors import DataError, UsageError
from zoo.terminal import readable

if TYPE_CHECKING:
    from zoo.workflows.predict import PredictRequest
    from zoo.workflows.predict_files import PredictFilesRequest


@click.command("predict")
@click.argument("model")
@click.argument("pictures", metavar="IMAGE|FOLDER|LIST...", nargs=-1, required=True)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="Number of most probable classes to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per image.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the predictions to this .csv, .jsonl or .parquet file instead, with a row for each photo.",
)
@click.option("--shard", metavar="I/N", help="With --out: predict only the I-th of N shares of the photos.")
@on_option
@click.option(
    "--min-confidence",
    metavar="P|auto|accuracy=A",
    help='Threshold below which the prediction is "unknown": a probability, auto for the model\'s own threshold, or '
    "accuracy=0.98 for the threshold with 98 % accuracy.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of threads for a file or bundle.  [default: all cores, at most 8]",
)
@click.option(
    "--weights",
    help="Use an architecture with these pretrained weights, such as imagenet, instead of a run.",
)
@click.option(
    "--spec",
    type=click.Path(path_type=Path),
    help="For a file not exported by zoo: JSON that describes its preprocessing.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="For a file not exported by zoo: text file of class names, one per line.",
)
@click.option(
    "--pixels",
    metavar="RANGE",
    help="For a .keras file without a run: 0..1, -1..1, caffe or torch.  [default: raw pixels]",
)
@runs_option
def command(
    model: str,
    pictures: tuple[str, ...],
    top: int,
    as_json: bool,
    out: Path | None,
    shard: str | None,
    on: str | None,
    min_confidence: str | None,
    threads: int | None,
    weights: str | None,
    spec: Path | None,
    labels: Path | None,
    pixels: str | None,
    runs: Path,
) -> None:
    """Predict the class of photos.

    MODEL is a bundle's folder or .zip, an exported file, the folder or the name of a run, an architecture, or a .keras
    file with --labels. For an architecture, its newest finished run is used, or its pretrained weights if it has no
    run. For a folder, all files below it are used, except hidden ones; - is standard input. A LIST is a .txt file with
    one path per line, or a .csv or .parquet file with the paths in its column "path". Files that are not usable images
    are listed and skipped, and the exit code is then 4. With --out, they have a row with the error instead, and the
    same command continues after an interruption.
    """
    from zoo.workflows.predict import PredictRequest
    from zoo.workflows.predict_files import PredictFilesRequest

    request = PredictRequest(
        model=model,
        runs=runs,
        weights=weights,
        threads=threads,
        min_confidence=min_confidence,
        spec=spec,
        labels=labels,
        pixels=pixels,
    )
    if out is None:
        if shard is not None or on is not None:
            option = "--shard" if on is None else "--on"
            raise UsageError(f"{option} requires --out.", "Such as --out found.parquet.")
        _show(request, pictures, top, as_json)
    else:
        if as_json:
            raise UsageError("--json prints the predictions, and --out writes them.", "Give --out FILE.jsonl alone.")
        _write(PredictFilesRequest(model=request, photos=pictures, out=out, top=top, shard=shard, on=on))


def _show(request: PredictRequest, pictures: tuple[str, ...], top: int, as_json: bool) -> None:
    from zoo.cli.answers import answers_shown, counted
    from zoo.edge.wording import as_note
    from zoo.images import ImageError
    from zoo.predicting.photos import pictures_of
    from zoo.progress import make_reporter
    from zoo.workflows.predict import open_model

    total, widest = counted(pictures)
    reporter = make_reporter()
    answering = open_model(replace(request, pictures=total), reporter)
    for note in answering.notes:
        reporter.note(note)
    top = min(top, len(answering.labels))
    # A progress bar and predictions on one terminal would overwrite each other, and the predictions show the progress.
    counter = (lambda done, total: None) if sys.stdout.isatty() else reporter.counter("predicting")
    skipped = 0
    show = answers_shown(as_json, top, widest, answering.labels, request.min_confidence is not None)
    try:
        for done, (name, answer) in enumerate(answering.ask(pictures_of(pictures), top), 1):
            if isinstance(answer, ImageError):
                click.echo(f"Skipped {readable(name)}: {answer.reason}.", err=True)
                skipped += 1
            else:
                show(name, answer)
                if answer.remark:
                    click.echo(as_note(name, answer), err=True)
            counter(done, max(done, total))
    finally:
        reporter.trained()  # removes the progress bar
    if skipped:
        raise DataError(f"{skipped} of {done} files {'was' if skipped == 1 else 'were'} skipped.")


def _write(request: PredictFilesRequest) -> None:
    from zoo.progress import make_reporter
    from zoo.workflows.predict_files import predict_files

    found = predict_files(request, make_reporter())
    errors = f", {found.errors} of them with an error instead of a prediction" if found.errors else ""
    click.echo(f"{found.photos} photos{errors}: written to {found.path}")
