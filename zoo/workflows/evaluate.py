"""The evaluation of a run, on its own test images or on others, or of an architecture with pretrained weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, UsageError
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT, Run
from zoo.run_folder.info import Metrics
from zoo.workflows.finding import described, find_trained
from zoo.workflows.host import host_kept
from zoo.workflows.notes import tell_files, tell_overlap

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.data.reading import Reader
    from zoo.evaluation.trained import TrainedModel


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """What to measure.

    Args:
        model: A run, by its folder or its name, or an architecture, which stands for its newest finished run or else
            its pretrained weights.
        data: Images to evaluate on: a folder, a CSV file or a name. ``None``: the test images of the run.
        weights: Name of pretrained weights. ``model`` must then be an architecture.
        runs: Folder of runs.
        on: The Ray cluster that reads and predicts the images: ``ray`` or ``ray://HOST:PORT``. ``None``: this process.
    """

    model: str
    data: str | None = None
    weights: str | None = None
    runs: Path = DEFAULT_ROOT
    on: str | None = None


@dataclass(frozen=True)
class Evaluated:
    """Result of an evaluation.

    Args:
        metrics: The metrics.
        folder: Folder with ``metrics.json`` and ``predictions.csv``.
        report: The report, which is rewritten if a run was evaluated on its own test images.
    """

    metrics: Metrics
    folder: Path
    report: Path | None = None


def evaluate(request: EvaluateRequest, reporter: Reporter) -> Evaluated:
    """Evaluates a model on images.

    On a run's own test images, its metrics, predictions and report are rewritten. For other images, metrics and
    predictions are written to a folder in ``evaluations``, without a report.

    Raises:
        UsageError: The model does not exist, or no images are given.
        DataError: The images have changed or cannot be used.
        ClusterError: The cluster cannot be reached, its connection is lost, or one of its machines does not have the
            model or the images.
    """
    with host_kept():
        return _evaluate(request, reporter)


def _evaluate(request: EvaluateRequest, reporter: Reporter) -> Evaluated:
    found = find_trained(request.model, request.runs, request.weights)
    from zoo.data import TEST, load_for_evaluation
    from zoo.data.reading import read_here
    from zoo.evaluation.photo_cluster import find_cluster
    from zoo.evaluation.predict import Copies
    from zoo.evaluation.recorded import choice_of, recorded_images

    cluster = find_cluster(request.on, reporter)
    reader = cluster.read if cluster else read_here
    counter = reporter.counter("decoding")
    if request.data is not None:
        images = load_for_evaluation(
            request.data,
            found.image,
            found.labels,
            aliases=found.aliases,
            progress=counter,
            reader=reader,
            say=reporter.stage,
        )
        parent = found.run.path if found.run else request.runs
        tell_overlap(found, images, TEST, reporter)
        name = "" if found.run else f"{found.architecture}-"
        folder = parent / "evaluations" / f"{name}{Path(request.data).stem or 'data'}-{images.digest[:8]}"
    elif found.run:
        images = recorded_images(found.run, TEST, counter, reader=reader)
        folder = found.run.path
    else:
        raise UsageError(f"{found.name} has no test images of its own.", "Give images to evaluate on with --data.")
    tell_files(images, reporter)
    from zoo.backend import start_keras
    from zoo.evaluation.evaluate import evaluate as measure

    start_keras()
    reporter.stage(f"Evaluating {described(request.model, found)}, on {len(images.names)} images")
    model = found.load()
    copies = Copies(cluster, _opener(request, found)) if cluster else None
    choice = choice_of(found.run, model, progress=counter, copies=copies) if found.run else None
    counts = found.run.info.data.counts.get("train") if found.run else None
    measured = measure(model, images, folder, counts, reporter.counter("predicting"), choice, copies)
    metrics = measured.metrics
    for warning in metrics.warnings:
        reporter.warning(warning.sentence)
    if found.run is None or request.data is not None:
        return Evaluated(metrics, folder)
    from zoo.report.evidence import find_evidence
    from zoo.report.html import write_report
    from zoo.report.photo_map import find_map
    from zoo.run_folder import open_run

    run = open_run(found.run.path)  # with its new metrics
    evidence, arranged = find_evidence(run, model), find_map(run, model, images, measured.features)
    return Evaluated(metrics, folder, write_report(run, _augmented(run, counter, reader), evidence, arranged))


def _opener(request: EvaluateRequest, found: TrainedModel) -> Callable[[], keras.Model]:
    """Returns the model on a machine with another working folder."""
    model = str(found.run.path.absolute()) if found.run else request.model
    return partial(open_copy, model, request.runs.absolute(), request.weights)


def open_copy(model: str, runs: Path, weights: str | None) -> keras.Model:
    """Loads the model of an ``EvaluateRequest``."""
    return find_trained(model, runs, weights).load()


def _augmented(run: Run, counter: Callable[[int, int], None], reader: Reader) -> NDArray[np.uint8] | None:
    """Augmented images for the report, if there is augmentation and the training images still exist."""
    from zoo.data import TRAIN
    from zoo.evaluation.recorded import recorded_images
    from zoo.training.samples import augmented_samples

    if not run.recipe.augments:
        return None
    try:
        images = recorded_images(run, TRAIN, counter, reader=reader)
        return augmented_samples(images, run.recipe, run.seed, taught=run.info.taught is not None)
    except DataError:
        return None
