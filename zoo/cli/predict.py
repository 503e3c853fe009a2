"""``zoo predict``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import runs_option
from zoo.errors import DataError
from zoo.figures import percent
from zoo.terminal import readable

if TYPE_CHECKING:
    from zoo.edge.classify import Answer

    #: Takes a file's name and its answer.
    Show = Callable[[str, Answer], None]

#: Columns of names and labels are no wider than this; what is longer pushes the rest of its line to the right.
_WIDEST = 48


@click.command("predict")
@click.argument("model")
@click.argument("pictures", metavar="IMAGE|FOLDER...", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(min=1), default=2, show_default=True, metavar="N", help="Likeliest classes.")
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON a picture.")
@click.option(
    "--csv", "csv_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the answers to this file instead."
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
@click.option("--weights", help="Ask an architecture with pretrained weights instead: imagenet.")
@click.option(
    "--spec", type=click.Path(path_type=Path), help="For a file not from zoo: JSON that says how it is shown a photo."
)
@click.option("--labels", type=click.Path(path_type=Path), help="For a file not from zoo: its classes, one a line.")
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
    """Say what photos show.

    MODEL is a bundle's folder or .zip, an exported file, a run's folder, or an architecture: its newest finished run;
    with none, the architecture with its pretrained weights; or a .keras file, with --labels. Of a folder all files
    below it are taken, hidden ones left out; - is standard input. Files that are no usable pictures are named and
    skipped; the command then ends with 4.
    """
    from zoo.atomic import writable
    from zoo.edge.main import as_note
    from zoo.edge.sources import listed
    from zoo.images import ImageError
    from zoo.progress import make_reporter
    from zoo.workflows.predict import PredictRequest, open_model

    if csv_path is not None:
        writable(csv_path)
    total, widest = _count(pictures)
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
    widths = (widest, max(map(len, (*answering.labels, "unknown" if says_known else ""))))
    with _output(csv_path, as_json, top, widths, says_known) as show:
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


def _count(pictures: Sequence[str]) -> tuple[int, int]:
    """How many there are, and the length of the longest name. They are counted and not kept: memory stays flat."""
    from zoo.edge.sources import listed
    from zoo.images import ImageError

    total, usable, widest = 0, 0, 0
    for argument in pictures:
        # Standard input can be read only once.
        for name, picture in [("-", b"")] if argument == "-" else listed([argument]):
            total += 1
            usable += not isinstance(picture, ImageError)
            widest = max(widest, len(name))
    if not usable:
        raise DataError(f"There are no images in {', '.join(pictures)}.", "Hidden files and folders are left out.")
    return total, widest


@contextmanager
def _output(path: Path | None, as_json: bool, top: int, widths: tuple[int, int], says_known: bool) -> Iterator[Show]:
    """Gives a function that answers are shown with, as they come."""
    from zoo.edge import main as runner

    # While a bar is drawn, `sys.stdout` leads to it.
    stream = sys.stdout

    def say(text: str) -> None:
        print(text, file=stream, flush=True)

    def show(name: str, answer: Answer) -> None:
        for way in ways:
            way(name, answer)

    ways: list[Show] = []
    with ExitStack() as opened:
        if path is not None:
            ways.append(opened.enter_context(_csv(path, top, says_known)))
        if as_json:
            ways.append(lambda name, answer: say(runner.as_json(name, answer)))
        elif path is None and stream.isatty():
            ways.append(_table(say, widths, top, says_known))
        elif path is None:
            ways.append(lambda name, answer: say(runner.as_text(name, answer)))
        yield show


def _table(say: Callable[[str], None], widths: tuple[int, int], top: int, says_known: bool) -> Show:
    """A table whose rows appear one by one: its widths are known beforehand."""
    name_width, label_width = (max(min(width, _WIDEST), 5) for width in widths)

    def line(name: str, label: str, confidence: str, rest: str) -> None:
        say(f"{name:<{name_width}}  {label:<{label_width}}  {confidence:>10}  {rest}".rstrip())

    def show(name: str, answer: Answer) -> None:
        likely = [f"{readable(label)} {percent(share)}" for label, share in answer.top]
        if answer.known:
            line(readable(name), readable(answer.label), percent(answer.probability), ", ".join(likely[1:]))
        else:
            line(readable(name), "unknown", "", ", ".join(likely))

    line("file", "label", "confidence", "next best" if top > 1 or says_known else "")
    return show


@contextmanager
def _csv(path: Path, top: int, says_known: bool) -> Iterator[Show]:
    from zoo.atomic import whole_file

    def show(name: str, answer: Answer) -> None:
        cells = [cell for likely in answer.top for cell in likely]
        said = [str(answer.known).lower(), answer.label if answer.known else ""] if says_known else []
        writer.writerow([name, *said, *cells])

    # surrogateescape: a file name that is not UTF-8 comes back as the bytes it was.
    with whole_file(path) as aside, aside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        # Everything but numbers is quoted: a lone carriage return in a name is a line end otherwise.
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        more = [f"{column}_{place}" for place in range(2, top + 1) for column in ("label", "probability")]
        # What is unknown has no label, but a likeliest class all the same.
        first = ["known", "label", "likeliest"] if says_known else ["label"]
        writer.writerow(["file", *first, "probability", *more])
        yield show
