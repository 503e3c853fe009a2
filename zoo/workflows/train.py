"""Training, from photos to an evaluated run with its report."""

from __future__ import annotations

import contextlib
import functools
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.atomic import write_csv
from zoo.errors import TrainingError, UsageError, ZooError
from zoo.figures import percent
from zoo.locks import locked
from zoo.plugin_guard import wrap_callback
from zoo.registry import architectures, plugin_manager
from zoo.reporter import Reporter
from zoo.run_folder import Run as RunFolder
from zoo.run_folder import create_run, open_run, refuse_name
from zoo.workflows.host import host_kept
from zoo.workflows.hosts import connect, meeting, refuse_idle_hosts, refuse_other_photos, send_run
from zoo.workflows.leaks import find_and_record, measure_without
from zoo.workflows.models import Run
from zoo.workflows.plan_file import read_plan, write_plan
from zoo.workflows.planning import TrainRequest, best_pretrained, make_plan
from zoo.workflows.teachers import find_teachers
from zoo.workflows.teaching import Teaching, prepare_teaching, resumed_teaching

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from zoo.data import ImageData
    from zoo.training.hosts import Hosts
    from zoo.training.plan import Plan

_training = threading.Lock()


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    Args:
        run: The finished run.
        report: Its report.
        already: Whether the run to resume was finished already.
    """

    run: RunFolder
    report: Path
    already: bool = False


def train(request: TrainRequest, reporter: Reporter) -> Trained:
    """Trains a model or resumes a run, evaluates it on its test images and writes the report.

    Args:
        request: What to train.
        reporter: Receives the progress of every stage, batch and epoch.

    Raises:
        UsageError: The request names something that is not installed or cannot be used, or this process is already
            training another model.
        DataError: The images cannot be used.
        TrainingError: The loss is not finite, or a run cannot be read or written.
        ClusterError: Another host does not join in time, or is lost.
    """
    with only_training():
        return _resume(request, reporter) if request.resume else _begin(request, reporter)


@contextlib.contextmanager
def only_training() -> Iterator[None]:
    """Refuses a second training in this process, and restores global state of the process afterwards."""
    if not _training.acquire(blocking=False):
        raise UsageError(
            "This process is already training another model.",
            "Wait until it is finished, or train in another process. Random generators and Keras cannot be shared.",
        )
    try:
        with host_kept():
            yield
    finally:
        _training.release()


@dataclass(frozen=True)
class Planned:
    """The plan of a new run.

    Args:
        request: The request, completed by its plan file or the best architecture.
        plan: The plan.
        repeated: The run that is repeated.
    """

    request: TrainRequest
    plan: Plan
    repeated: RunFolder | None


def planned(request: TrainRequest, reporter: Reporter) -> Planned:
    """Makes the plan of a new run. Raises ``UsageError`` for values that cannot be used."""
    repeated = None
    if request.repeat is not None and request.repeat.suffix.lower() in (".yaml", ".yml"):
        request = read_plan(request.repeat, request)
    elif request.repeat is not None:
        repeated = open_run(run_folder(request.repeat, request.runs))
    if request.name is not None:
        refuse_run_name(request.runs, request.name)
    if request.architecture is None and repeated is None and request.data is not None:
        request = _with_best(request, reporter)
    return Planned(request, make_plan(request, repeated), repeated)


def _begin(request: TrainRequest, reporter: Reporter) -> Trained:
    start = time.perf_counter()
    command = request.command()
    made = planned(request, reporter)
    if request.host is None:
        return _begin_planned(made, None, command, reporter, start)
    with meeting(request.host, made.plan, reporter) as group:
        hosts = connect(group, request.devices, made.plan.architecture.name, made.plan.recipe, reporter)
        return _begin_planned(made, hosts, command, reporter, start)


def _begin_planned(made: Planned, hosts: Hosts | None, command: str, reporter: Reporter, start: float) -> Trained:
    request, plan, repeated = made.request, made.plan, made.repeated
    from zoo.backend import start_keras
    from zoo.data import load_data, named_dataset
    from zoo.machine import machine, versions
    from zoo.run_folder.info import RunInfo
    from zoo.training.check import check_recipe
    from zoo.training.mirroring import choose_flip

    check_recipe(plan.recipe, plan.image.input_shape)
    for note in plan.notes:
        reporter.note(note)
    if hosts is None:
        _share_batches(request.devices, plan.recipe.batch_size, reporter)
    reporter.stage(f"Reading {plan.source} as {plan.image}")
    data = load_data(
        plan.source,
        plan.image,
        split_seed=plan.split_seed,
        validation=plan.recipe.validates,
        progress=reporter.counter("decoding"),
        say=reporter.stage,
    )
    load_s = time.perf_counter() - start
    _announce(data, reporter)
    if request.split_seed is not None and "made" not in data.origin.values():
        reporter.note("--split-seed has no effect: the data has its own splits.")
    teaching = prepare_teaching(plan.teachers, plan.unlabelled, data, reporter)
    if hosts:
        refuse_other_photos(hosts, data, teaching)
    named = named_dataset(plan.source)
    flip = choose_flip(plan.recipe, data, named.flip if named else "auto")
    if flip.warning:
        reporter.note(flip.warning)
    recipe = plan.recipe.with_values({"flip": flip.chosen})
    reporter.stage("Starting Keras")
    backend = start_keras()
    from zoo.training.precision import resolve_precision

    offer = architectures().offer(plan.architecture.name)
    # With several hosts, host 1 measures with the images of one device, because its own device is measured.
    measured = recipe.with_values({"batch_size": recipe.batch_size // hosts.share.devices}) if hosts else recipe
    precision = resolve_precision(
        plan.architecture, data.spec.input_shape, len(data.labels), plan.options, measured, repeated
    )
    info = RunInfo(
        architecture=plan.architecture.name,
        labels=data.labels,
        image=plan.image,
        recipe=recipe,
        seed=plan.seed,
        zoo_version=versions().get("keras-edge-zoo", "unknown"),
        distribution=f"{offer.distribution} {offer.version}",
        command=command,
        data=data.describe(),
        recipe_name=plan.recipe_name,
        weights=plan.weights,
        options=plan.options,
        split_seed=plan.split_seed,
        tensorboard=request.tensorboard,
        backend=backend,
        precision=precision,
        versions=versions(),
        machine=machine(),
        timings={"load_s": round(load_s, 2)},
        flip=flip,
        taught=teaching.info if teaching else None,
    )
    run = create_run(request.runs, info, request.name)
    with _alone(run), _kept_if_worth_it(run):
        write_plan(run.path, plan, request.tensorboard)
        write_csv(run.path / "skipped.csv", ("path", "reason"), [(item.name, item.reason) for item in data.skipped])
        if teaching:
            teaching.record(run)
        # This comes last: from here on, the run can be resumed.
        write_csv(run.path / "split.csv", ("path", "label", "split", "sha256"), data.rows())
        if hosts:
            send_run(hosts.group, run)
        return _finish(run, data, teaching, request, reporter, start, hosts)


def _with_best(request: TrainRequest, reporter: Reporter) -> TrainRequest:
    """The request with the best pretrained architecture, if one is installed."""
    best = best_pretrained()
    if best is None:
        return request
    name, top1 = best
    reporter.note(
        f"No architecture is given, so {name} is trained. Its weights are the most accurate on ImageNet of those "
        f"installed (published accuracy: {percent(top1)}). `zoo list` shows the others."
    )
    return replace(request, architecture=name)


def refuse_run_name(runs: Path, name: str) -> None:
    """Raises ``UsageError`` if a new run cannot have that name."""
    refuse_name(runs, name)
    if name in architectures():
        raise UsageError(
            f"--name cannot be '{name}', because an architecture has that name and commands would be ambiguous.",
            f"Choose another name, such as --name {name}-1.",
        )


def _announce(data: ImageData, reporter: Reporter) -> None:
    totals = {split: sum(counts.values()) for split, counts in data.counts.items()}
    made = [split for split, origin in data.origin.items() if origin == "made" and totals[split]]
    shares = ", ".join(f"{total} {split}" for split, total in totals.items() if total)
    divided = f" (split here: {', '.join(made)})" if made else ""
    reporter.stage(f"{len(data.names)} images in {len(data.labels)} classes: {shares}{divided}")
    for note in data.notes:
        reporter.note(note)
    if data.skipped:
        first = data.skipped[0]
        unused = f"{len(data.skipped)} file(s) cannot be used; see skipped.csv"
        reporter.note(f"{unused}. For example {first.name}: {first.reason}")


def _resume(request: TrainRequest, reporter: Reporter) -> Trained:
    start = time.perf_counter()
    if request.repeat:
        raise UsageError("--resume continues a run and --repeat starts a new one.", "Give one of them.")
    if request.name is not None:
        raise UsageError("--name cannot be combined with --resume: a resumed run keeps its name.")
    from zoo.data.named import find_source
    from zoo.training.plan import refuse_other_plan

    assert request.resume is not None
    run = open_run(run_folder(request.resume, request.runs))
    asked = request.asked()
    if "data" in asked:
        asked["data"] = find_source(asked["data"])[0]
    if "teachers" in asked:
        asked["teachers"] = [str(path) for path in find_teachers(asked["teachers"], request.runs)]
    if "unlabelled" in asked:
        asked["unlabelled"] = str(asked["unlabelled"].expanduser().absolute())
    refuse_other_plan(run, asked)
    if request.host is not None:
        return _resume_on_hosts(run, request, reporter, start)
    return _resume_checked(run, request, reporter, start)


def _resume_on_hosts(run: RunFolder, request: TrainRequest, reporter: Reporter, start: float) -> Trained:
    """Resumes a run together with other hosts. If its training is finished, they are told so.

    The run is checked after the others have joined, so that they are told an error at once.
    """
    assert request.host is not None
    with meeting(request.host, None, reporter) as group:
        if not run.finished:
            _refuse_unrecorded(run)
            refuse_idle_hosts(request.host, run.recipe)
            with _alone(run):
                run = open_run(run.path)  # opened again, now that no other process writes it
                if not run.finished:
                    send_run(group, run)
                    hosts = connect(group, request.devices, run.architecture, run.recipe, reporter)
                    return _resume_alone(run, request, hosts, reporter, start)
        send_run(group, None)
        group.disconnect()
    return _resume_checked(run, request, reporter, start)


def _resume_checked(run: RunFolder, request: TrainRequest, reporter: Reporter, start: float) -> Trained:
    if run.finished and (run.path / "report.html").is_file():
        return Trained(run, run.path / "report.html", already=True)
    _refuse_unrecorded(run)
    with _alone(run):
        # The run is opened again, now that no other process writes it.
        return _resume_alone(open_run(run.path), request, None, reporter, start)


def _refuse_unrecorded(run: RunFolder) -> None:
    if not _resumable(run):
        raise TrainingError(
            f"{run.path} was interrupted before its images were recorded: it has no split.csv.",
            "Start it again with: " + shlex.join(["zoo", "train", "--repeat", str(run.path)]),
        )


def _resume_alone(
    run: RunFolder, request: TrainRequest, hosts: Hosts | None, reporter: Reporter, start: float
) -> Trained:
    from zoo.data import load_data
    from zoo.training.plan import refuse_other_data

    source = run.info.data.source
    if hosts is None:
        _share_batches(request.devices, run.recipe.batch_size, reporter)
    reporter.stage(f"Resuming {run.path} on {source}")
    counter = reporter.counter("decoding")
    data = load_data(
        source,
        run.image_spec,
        split_seed=run.info.split_seed,
        validation=run.recipe.validates,
        progress=counter,
        say=reporter.stage,
    )
    refuse_other_data(run, data)
    teaching = None
    if not run.finished:
        _refuse_other_backend(run, request)
        _tell_other_version(run, reporter)
        teaching = resumed_teaching(run, data, reporter)
    if hosts:
        refuse_other_photos(hosts, data, teaching)
    run.update(tensorboard=request.tensorboard or run.info.tensorboard)
    before_s = sum(run.history.get("seconds", [])) + run.preparation_s
    return _finish(run, data, teaching, request, reporter, start - before_s, hosts)


def _share_batches(devices: int | str | None, batch_size: int, reporter: Reporter) -> None:
    """Divides every batch among devices. Called first, so that an invalid number is reported before photos are read."""
    if devices is None:
        return
    from zoo.backend import start_keras
    from zoo.training.devices import share_batches

    start_keras()
    count = share_batches(devices, batch_size)
    reporter.stage(f"Every batch of {batch_size} images is divided among {count} device(s)")


def _refuse_other_backend(run: RunFolder, request: TrainRequest) -> None:
    from zoo.backend import start_keras

    backend = start_keras()
    if backend != run.info.backend:
        several = "--on" if request.on is not None else "--host" if request.host is not None else ""
        alone = f", and leave {several} out, which needs JAX" if several else ""
        raise UsageError(
            f"{run.path} was started with the Keras backend {run.info.backend}; the current backend is {backend}.",
            f"Set KERAS_BACKEND={run.info.backend}{alone}.",
        )


def _tell_other_version(run: RunFolder, reporter: Reporter) -> None:
    offer = architectures().offer(run.architecture)
    now, was = f"{offer.distribution} {offer.version}", run.info.distribution
    if now != was:
        reporter.note(
            f"This run was started with {was}. Now {now} is installed, which may build or train the model differently."
        )


def _finish(
    run: RunFolder,
    data: ImageData,
    teaching: Teaching | None,
    request: TrainRequest,
    reporter: Reporter,
    start: float,
    hosts: Hosts | None = None,
) -> Trained:
    """Completes a run. If it was interrupted after the evaluation, only the report remains to be written."""
    from zoo.evaluation.trained import of_run
    from zoo.report.evidence import find_evidence
    from zoo.report.html import write_report
    from zoo.report.photo_map import find_map
    from zoo.training.samples import augmented_samples

    finished = run.finished
    with _telling_how_to_resume(run, request, reporter):
        leaks = find_and_record(run, data, reporter)
        model, features = None, None
        if not finished:
            model, features = _train_and_measure(run, data, teaching, request.callbacks, reporter, hosts)
        if not finished or "total_s" not in run.info.timings:
            run.update(timings={**run.info.timings, "total_s": round(time.perf_counter() - start, 2)})
        for warning in run.metrics.warnings:
            reporter.warning(warning.sentence)
        measure_without(run, leaks)
        reporter.stage("Writing the report")
        trained = model or of_run(run).load()
        found, arranged = find_evidence(run, trained), find_map(run, trained, data, features)
        samples = augmented_samples(data, run.recipe, run.seed, taught=run.info.taught is not None)
        report = write_report(run, samples, found, arranged)  # last, because it marks the run as finished
    plugin_manager().run_finished(Run(run, lambda quiet: reporter))
    return Trained(run, report)


def _train_and_measure(
    run: RunFolder,
    data: ImageData,
    teaching: Teaching | None,
    callbacks: tuple[Any, ...],
    reporter: Reporter,
    hosts: Hosts | None,
) -> tuple[keras.Model, NDArray[np.float32] | None]:
    """The trained model, and the features of the test images if they are kept."""
    from zoo.evaluation.evaluate import evaluate
    from zoo.evaluation.recorded import choice_of
    from zoo.training.start import start_weights
    from zoo.training.trainer import train as fit

    info = run.info
    reporter.stage(
        f"Training {run.architecture} in {run.path}: {sum(data.counts['train'].values())} images,"
        f" {info.precision} on {info.backend}, weights: {info.weights}"
    )
    architecture = architectures().get(run.architecture)
    start_with = start_weights(architecture, info.weights, data.labels)
    added = [*map(answerable, callbacks), *_tensorboard(run)]
    lesson = teaching.lesson(run, reporter) if teaching else None
    images = teaching.images if teaching else data
    with hosts.group.explaining() if hosts else contextlib.nullcontext():
        model = fit(
            run,
            architecture,
            images,
            reporter,
            start_weights=start_with,
            callbacks=added,
            lesson=lesson,
            hosts=hosts,
        )
    reporter.stage("Measuring")
    measured = evaluate(model, data, run.path, data.counts["train"], choice=choice_of(run, model, data))
    return model, measured.features


def answerable(callback: Any) -> Any:
    """Wraps a callback of the caller, so that an error names the callback and says that the run can be resumed."""
    import keras

    if not isinstance(callback, keras.callbacks.Callback):
        raise UsageError(
            f"callbacks must be instances of keras.callbacks.Callback. Received: {callback!r:.80}.",
            "Derive its class from keras.callbacks.Callback, or omit it.",
        )
    wrap_callback(callback, _explained)
    return callback


def _explained(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except ZooError:
            raise
        except Exception as error:
            raise TrainingError(
                f"The callback {name} failed: {type(error).__name__}: {error}",
                "Fix or omit it. The run can be resumed from its last checkpoint.",
            ) from error

    return call


def _tensorboard(run: RunFolder) -> list[Any]:
    if not run.info.tensorboard:
        return []
    import keras

    return [keras.callbacks.TensorBoard(log_dir=str(run.path / "tensorboard"))]


@contextlib.contextmanager
def _telling_how_to_resume(run: RunFolder, request: TrainRequest, reporter: Reporter) -> Iterator[None]:
    """After an interruption, tells how to continue."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit, ZooError) as error:
        several = {"--on": request.on, "--host": request.host if request.on is None else None}
        given = [text for option, value in several.items() if value is not None for text in (option, str(value))]
        how = shlex.join(["zoo", "train", "--resume", str(run.path), *given])
        if _trained(run):
            epochs = len(run.history.get("epoch", []))
            reporter.note(f"Interrupted after {epochs} epoch(s). To continue: {how}")
        elif not isinstance(error, ZooError):  # after a ZooError, the run is removed, because it has no epoch
            reporter.note(f"Interrupted before the first epoch was complete. To start again: {how}")
        raise
    finally:
        reporter.trained()


def _alone(run: RunFolder) -> contextlib.AbstractContextManager[None]:
    """Locks a run for this process. Two processes would overwrite each other's files."""
    busy = UsageError(f"Another command is training {run.path}.", "Wait until it is finished, or stop it first.")
    return locked(run.path / ".lock", busy, remove=True)


@contextlib.contextmanager
def _kept_if_worth_it(run: RunFolder) -> Iterator[None]:
    """Removes a run that failed before its first epoch, or was interrupted before it could be resumed."""
    try:
        yield
    except BaseException as error:
        if (isinstance(error, ZooError) and not _trained(run)) or not _resumable(run):
            shutil.rmtree(run.path, ignore_errors=True)
        raise


def _trained(run: RunFolder) -> bool:
    """Whether at least one epoch or the final model is saved."""
    return (run.path / "checkpoints" / "last.npz").is_file() or run.model_path.is_file()


def _resumable(run: RunFolder) -> bool:
    return (run.path / "split.csv").is_file()


def run_folder(path: Path, runs: Path) -> Path:
    """The folder of a run that is given as its folder, its ``run.json``, or its name in ``runs``."""
    folder = path.parent if path.name == "run.json" else path
    return next((found for found in (folder, runs / folder) if (found / "run.json").is_file()), folder)
