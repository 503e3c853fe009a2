"""``zoo predict``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from zoo.cli.options import runs_option
from zoo.errors import DataError
from zoo.terminal import readable


@click.command("predict")
@click.argument("model")
@click.argument("pictures", metavar="IMAGE|FOLDER...", nargs=-1, required=True)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="Number of likeliest classes to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per image.")
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the predictions to this CSV file instead.",
)
@click.option(
    "--min-confidence",
    metavar="P|auto|accuracy=A",
    help='Below it the answer is "unknown": a probability. auto takes the threshold of the model, accuracy=0.98 the '
    "one for 98 % right answers.",
)
@click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Cores for a file or bundle.  [default: all, at most 8]"
)
@click.option("--weights", help="Predict with an architecture with these pretrained weights instead: imagenet.")
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
@click.option("--pixels", metavar="RANGE", help="For a lone .keras file: 0..1, -1..1, caffe or torch.  [default: raw]")
@runs_option
def command(
    model: str,
    pictures: tuple[str, ...],
    top: int,
    as_json: bool,
    csv_path: Path | None,
    min_confidence: str | None,
    threads: int | None,
    weights: str | None,
    spec: Path | None,
    labels: Path | None,
    pixels: str | None,
    runs: Path,
) -> None:
    """Predict the class of photos.

    MODEL is a bundle's folder or .zip, an exported file, a run's folder, an architecture, or a .keras file with
    --labels. An architecture stands for its newest finished run, or, if it has no run, for its pretrained weights. If a
    photo is a folder, all files below it are used, except hidden ones; - is standard input. Files that are not usable
    images are listed and skipped, and the exit code is then 4.
    """
    from zoo.atomic import writable
    from zoo.cli.answers import answers_shown, counted
    from zoo.edge.sources import listed
    from zoo.edge.wording import as_note
    from zoo.images import ImageError
    from zoo.progress import make_reporter
    from zoo.workflows.predict import PredictRequest, open_model

    if csv_path is not None:
        writable(csv_path)
    total, widest = counted(pictures)
    reporter = make_reporter()
    request = PredictRequest(
        model=model,
        runs=runs,
        weights=weights,
        threads=threads,
        min_confidence=min_confidence,
        spec=spec,
        labels=labels,
        pixels=pixels,
        pictures=total,
    )
    answering = open_model(request, reporter)
    for note in answering.notes:
        reporter.note(note)
    top = min(top, len(answering.labels))
    says_known = min_confidence is not None
    # A bar and answers on one terminal would write over each other, and the answers are progress enough.
    shows_answers = sys.stdout.isatty() and (as_json or csv_path is None)
    counter = (lambda done, total: None) if shows_answers else reporter.counter("predicting")
    skipped = 0
    with answers_shown(csv_path, as_json, top, widest, answering.labels, says_known) as show:
        try:
            for done, (name, answer) in enumerate(answering.ask(listed(pictures), top), 1):
                if isinstance(answer, ImageError):
                    click.echo(f"Skipped {readable(name)}: {answer.reason}.", err=True)
                    skipped += 1
                else:
                    show(name, answer)
                    if answer.remark:
                        click.echo(as_note(name, answer), err=True)
                counter(done, max(done, total))
        finally:
            reporter.trained()  # takes the bar away
    if csv_path is not None and not as_json:
        click.echo(f"written to {csv_path}")
    if skipped:
        raise DataError(f"{skipped} of {done} files {'was' if skipped == 1 else 'were'} skipped.")
