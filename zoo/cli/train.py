"""``zoo train``."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from zoo.cli.options import image_options, recipe_options, runs_option
from zoo.errors import TrainingError, UsageError, ZooError
from zoo.locks import locked
from zoo.registry import architectures
from zoo.run_folder import Run, create_run, open_run, refuse_name


@click.command("train")
@click.argument("architecture", required=False)
@click.option("--data", help="Folder of class folders, CSV, or a name that `zoo list` shows.  [default: digits]")
@image_options
@click.option("--recipe", help="Named recipe (default, article) or a YAML file of recipe fields.  [default: default]")
@click.option("--weights", help="imagenet, none, or an .npz or .keras file.  [default: the architecture's first]")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Of the architecture: width=0.5.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of weights, shuffling and augmentation.  [default: 0]")
@click.option("--split-seed", type=click.IntRange(0), help="Of the splits that are made.  [default: 0]")
@runs_option
@click.option("--resume", metavar="RUN", type=click.Path(path_type=Path), help="Continue an interrupted run exactly.")
@click.option("--repeat", metavar="RUN", type=click.Path(path_type=Path), help="Start a new run with a run's settings.")
@click.option(
    "--name", metavar="NAME", help="Name of the run, as in `zoo export NAME`.  [default: architecture and time]"
)
@click.option("--tensorboard", is_flag=True, help="Write TensorBoard logs into the run.")
@recipe_options
def command(
    architecture: str | None,
    runs: Path,
    resume: Path | None,
    repeat: Path | None,
    name: str | None,
    tensorboard: bool,
    **asked: Any,
) -> None:
    """Train an architecture, measure it on images it never saw, and write a report.

    \b
    zoo train simple_cnn
    zoo train mobilenetv2 --data photos/ --name balls
    zoo train simple_cnn --data photos/ --epochs 40 --seed 1
    zoo train --resume runs/simple_cnn-20260131-120000
    """
    start = time.perf_counter()
    asked = {option: value for option, value in asked.items() if value not in (None, ())}
    if resume and repeat:
        raise UsageError("--resume continues a run and --repeat starts a new one.", "Give one of them.")
    if name is not None:
        if resume:
            raise UsageError("A run keeps its name: --name goes with a new run, not with --resume.")
        _refuse_name(runs, name)
    if resume:
        _resume(_run_folder(resume), architecture, asked, tensorboard, start)
        return
    from zoo.cli.planning import make_plan

    repeated = open_run(_run_folder(repeat)) if repeat else None
    plan = make_plan(architecture, asked, repeated)
    from zoo.data import load_data, named_dataset
    from zoo.machine import machine, versions
    from zoo.progress import make_reporter
    from zoo.training.mirroring import choose_flip

    reporter = make_reporter()
    reporter.stage(f"Reading {plan.source} as {plan.image}")
    data = load_data(plan.source, plan.image, split_seed=plan.split_seed, progress=reporter.counter("decoding"))
    load_s = time.perf_counter() - start
    _announce(reporter, data)
    named = named_dataset(plan.source)
    flip = choose_flip(plan.recipe, data, named.flip if named else "auto")
    if flip.warning:
        reporter.note(flip.warning)
    recipe = plan.recipe.with_values({"flip": flip.chosen})
    reporter.stage("Starting Keras")
    from zoo.cli.backend import start_keras

    backend = start_keras()
    from zoo.training.precision import resolve_precision

    offer = architectures().offer(plan.architecture.name)
    precision = resolve_precision(
        plan.architecture, data.spec.input_shape, len(data.labels), plan.options, recipe, repeated
    )
    info = {
        "zoo_version": versions().get("keras-edge-zoo", "unknown"),
        "distribution": f"{offer.distribution} {offer.version}",
        "command": shlex.join(["zoo", *sys.argv[1:]]),
        "data": data.describe(),
        "recipe_name": plan.recipe_name,
        "recipe": recipe.as_dict(),
        "flip": flip.as_dict(),
        "image": plan.image.as_dict(),
        "labels": list(data.labels),
        "weights": plan.weights,
        "options": plan.options,
        "seed": plan.seed,
        "split_seed": plan.split_seed,
        "tensorboard": tensorboard,
        "backend": backend,
        "precision": precision,
        "versions": versions(),
        "machine": machine(),
        "timings": {"load_s": round(load_s, 2)},
    }
    run = create_run(runs, plan.architecture.name, info, name)
    with _alone(run), _kept_if_worth_it(run):
        _record_images(run, data)
        _train_and_report(run, data, reporter, start)


def _refuse_name(runs: Path, name: str) -> None:
    refuse_name(runs, name)
    if name in architectures():
        raise UsageError(
            f"--name cannot be '{name}', the name of an architecture: commands could not tell them apart.",
            f"Choose another one, such as --name {name}-1.",
        )


def _record_images(run: Run, data: Any) -> None:
    from zoo.atomic import write_csv

    write_csv(run.path / "skipped.csv", ("path", "reason"), [(item.name, item.reason) for item in data.skipped])
    write_csv(run.path / "split.csv", ("path", "label", "split", "sha256"), data.rows())  # last: from here on, --resume


def _alone(run: Run) -> contextlib.AbstractContextManager[None]:
    """Keeps a run to this process: two that train it would write each other's files."""
    busy = UsageError(f"Another command is training {run.path}.", "Wait until it is done, or stop it first.")
    return locked(run.path / ".lock", busy, remove=True)


@contextlib.contextmanager
def _kept_if_worth_it(run: Run) -> Iterator[None]:
    """Removes a run that failed before its first epoch, or was interrupted before it could be resumed."""
    try:
        yield
    except BaseException as error:
        if (isinstance(error, ZooError) and not _trained(run)) or not _resumable(run):
            shutil.rmtree(run.path, ignore_errors=True)
        raise


def _trained(run: Run) -> bool:
    """Whether at least one epoch is kept."""
    return (run.path / "checkpoints" / "last.npz").is_file()


def _resumable(run: Run) -> bool:
    return (run.path / "split.csv").is_file()


def _resume(path: Path, architecture: str | None, asked: dict[str, Any], tensorboard: bool, start: float) -> None:
    from zoo.cli.planning import read_options, read_size
    from zoo.training.plan import refuse_other_plan

    run = open_run(path)
    if architecture:
        asked["architecture"] = architecture
    if "size" in asked:
        asked |= read_size(asked.pop("size"))
    if "options" in asked:
        asked["options"] = read_options(asked["options"])
    if "data" in asked:
        from zoo.data.named import find_source

        asked["data"] = find_source(asked["data"])[0]
    refuse_other_plan(run, asked)
    if run.finished and (run.path / "report.html").is_file():
        click.echo(f"{run.path} is finished; there is nothing to resume.")
        return
    if not _resumable(run):
        raise TrainingError(
            f"{run.path} was stopped before its images were recorded: it has no split.csv.",
            shlex.join(["zoo", "train", "--repeat", str(run.path)]) + " starts it again.",
        )
    with _alone(run):
        _resume_alone(open_run(path), tensorboard, start)  # as it is now that nobody else writes it


def _resume_alone(run: Run, tensorboard: bool, start: float) -> None:
    from zoo.data import load_data
    from zoo.progress import make_reporter
    from zoo.training.plan import refuse_other_data

    reporter = make_reporter()
    source = run.info["data"]["source"]
    reporter.stage(f"Resuming {run.path} on {source}")
    counter = reporter.counter("decoding")
    data = load_data(source, run.image_spec, split_seed=run.info["split_seed"], progress=counter)
    refuse_other_data(run, data)
    if not run.finished:
        _refuse_other_backend(run)
        _tell_other_version(run, reporter)
    run.info["tensorboard"] = tensorboard or run.info.get("tensorboard", False)
    before_s = sum(run.history().get("seconds", [])) + run.info.get("timings", {}).get("features_s", 0.0)
    _train_and_report(run, data, reporter, start - before_s)


def _tell_other_version(run: Run, reporter: Any) -> None:
    offer = architectures().offer(run.architecture)
    now, was = f"{offer.distribution} {offer.version}", run.info["distribution"]
    if now != was:
        reporter.note(f"This run began with {was}; {now} is installed, and may build or train another model.")


def _train_and_report(run: Run, data: Any, reporter: Any, start: float) -> None:
    """Does what is left to do: of a run that was interrupted after it was measured, the report."""
    from zoo.cli.leaks import tell_without_leaks, warn_of_leaks
    from zoo.cli.summary import one_line, warn_of_model
    from zoo.report.html import write_report
    from zoo.training.samples import augmented_samples

    measured = run.finished
    with _told_how_to_resume(run):
        leaks = warn_of_leaks(run, data, reporter)
        if not measured:
            _train_and_measure(run, data, reporter)
        if not measured or "total_s" not in run.info["timings"]:
            run.info["timings"]["total_s"] = round(time.perf_counter() - start, 2)
            run.save_info()
        click.echo(f"\n{one_line(run.metrics)}")
        warn_of_model(run.metrics)
        tell_without_leaks(run, run.metrics, leaks)
        reporter.stage("Drawing the report")
        report = write_report(run, augmented_samples(data, run.recipe, run.seed))  # last: it says that all is done
    click.echo(f"  run     {run.path}\n  report  {report}\n  next    zoo export {shlex.quote(str(run.path))}")


def _train_and_measure(run: Run, data: Any, reporter: Any) -> None:
    from zoo.evaluation.evaluate import evaluate
    from zoo.training.start import start_weights
    from zoo.training.trainer import train

    reporter.stage(
        f"Training {run.architecture} in {run.path}: {sum(data.counts['train'].values())} images,"
        f" {run.info['precision']} on {run.info['backend']}, weights: {run.info['weights']}"
    )
    architecture = architectures().get(run.architecture)
    start_with = start_weights(architecture, run.info["weights"], data.labels)
    callbacks = _tensorboard(run, bool(run.info["tensorboard"]))
    model = train(run, architecture, data, reporter, start_weights=start_with, callbacks=callbacks)
    reporter.stage("Measuring")
    evaluate(model, data, run.path, data.counts["train"], validation=data)


class _told_how_to_resume:  # noqa: N801 - reads as a sentence after `with`
    """On the way out of an interruption, says how to go on."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, KeyboardInterrupt | SystemExit | ZooError):
            return
        how = shlex.join(["zoo", "train", "--resume", str(self._run.path)])
        if _trained(self._run):
            epochs = len(self._run.history().get("epoch", []))
            print(f"\nStopped after {epochs} epoch(s). Continue: {how}", file=sys.stderr)
        elif not issubclass(kind, ZooError):  # after an error nothing is kept
            print(f"\nStopped before an epoch was complete. Begin again: {how}", file=sys.stderr)


def _announce(reporter: Any, data: Any) -> None:
    totals = {split: sum(counts.values()) for split, counts in data.counts.items()}
    made = [split for split, origin in data.origin.items() if origin == "made" and totals[split]]
    shares = ", ".join(f"{total} {split}" for split, total in totals.items())
    divided = f" (split here: {', '.join(made)})" if made else ""
    reporter.stage(f"{len(data.names)} images in {len(data.labels)} classes: {shares}{divided}")
    for note in data.notes:
        reporter.note(note)
    if data.skipped:
        first = data.skipped[0]
        unused = f"{len(data.skipped)} file(s) not used, see skipped.csv"
        reporter.note(f"{unused}; such as {first.name}: {first.reason}")


def _tensorboard(run: Run, wanted: bool) -> list[Any]:
    if not wanted:
        return []
    import keras

    return [keras.callbacks.TensorBoard(log_dir=str(run.path / "tensorboard"))]


def _run_folder(path: Path) -> Path:
    return path.parent if path.name == "run.json" else path


def _refuse_other_backend(run: Run) -> None:
    from zoo.cli.backend import start_keras

    backend = start_keras()
    if backend != run.info["backend"]:
        raise UsageError(
            f"{run.path} was started on {run.info['backend']}; this is {backend}.",
            f"Set KERAS_BACKEND={run.info['backend']}.",
        )
