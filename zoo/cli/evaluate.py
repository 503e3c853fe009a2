"""``zoo evaluate``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.options import runs_option
from zoo.cli.overlap import tell_files, tell_overlap
from zoo.cli.runs import described, find_trained
from zoo.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.run_folder import Run


@click.command("evaluate")
@click.argument("model", metavar="RUN")
@click.option("--data", help="Other images to measure on: folder, CSV or name.  [default: the run's test images]")
@click.option("--weights", help="Measure an architecture with pretrained weights instead: imagenet.")
@runs_option
@click.option("--json", "as_json", is_flag=True, help="Print metrics.json.")
def command(model: str, data: str | None, weights: str | None, runs: Path, as_json: bool) -> None:
    """Measure a trained run, or a pretrained architecture.

    RUN is a run folder, or an architecture: its newest finished run; with none, the architecture with its pretrained
    weights and all their classes. On a run's own test images, metrics and report are made anew; on other images they
    go to an evaluations/ folder.
    """
    found = find_trained(model, runs, weights)
    from zoo.data import TEST, load_for_evaluation
    from zoo.evaluation.recorded import recorded_images, validation_images
    from zoo.progress import make_reporter

    reporter = make_reporter()
    counter = reporter.counter("decoding")
    if data is not None:
        images = load_for_evaluation(data, found.image, found.labels, aliases=found.aliases, progress=counter)
        parent = found.run.path if found.run else runs
        tell_overlap(found, images, TEST, reporter)
        name = "" if found.run else f"{found.architecture}-"
        folder = parent / "evaluations" / f"{name}{Path(data).stem or 'data'}-{images.digest[:8]}"
    elif found.run:
        images = recorded_images(found.run, TEST, counter)
        folder = found.run.path
    else:
        raise UsageError(f"On which images should {found.name} be measured?", "Give them with --data.")
    tell_files(images, reporter)
    from zoo.cli.backend import start_keras
    from zoo.evaluation.evaluate import evaluate

    start_keras()
    reporter.stage(f"Measuring {described(model, found)}, on {len(images.names)} images")
    validation = validation_images(found.run, counter) if found.run else None
    counts = found.run.info["data"]["counts"]["train"] if found.run else None
    metrics = evaluate(found.load(), images, folder, counts, reporter.counter("predicting"), validation)
    written = folder
    if found.run and data is None:
        from zoo.report.html import write_report

        written = write_report(found.run, _augmented(found.run, counter))
    from zoo.cli.summary import one_line, per_class_lines, warn_of_model

    warn_of_model(metrics)
    if as_json:
        click.echo(json.dumps(metrics, indent=2))
        return
    click.echo(one_line(metrics))
    for line in per_class_lines(metrics):
        click.echo(line)
    click.echo(f"  written to {written}")


def _augmented(run: Run, counter: Callable[[int, int], None]) -> NDArray[np.uint8] | None:
    """Pictures for the report, where there is something to show and the training images are still to be had."""
    from zoo.data import TRAIN
    from zoo.evaluation.recorded import recorded_images
    from zoo.training.augment import augments
    from zoo.training.samples import augmented_samples

    if not augments(run.recipe):
        return None
    try:
        return augmented_samples(recorded_images(run, TRAIN, counter), run.recipe, run.seed)
    except DataError:
        return None
