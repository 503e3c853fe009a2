"""Training: the choice of a head on cached features, and Keras ``fit`` on zoo's batches, in one or two phases."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from zoo.atomic import whole_file
from zoo.data import TRAIN, VAL, ImageData
from zoo.data.cache import damage_note
from zoo.errors import TrainingError, quoted
from zoo.evaluation.predict import predict
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.recorded import CROSS_VALIDATION
from zoo.figures import percent
from zoo.interfaces import Architecture
from zoo.recipe import Recipe
from zoo.registry import plugin_manager
from zoo.reporter import Reporter
from zoo.run_folder import Run
from zoo.run_folder.info import HeadInfo
from zoo.training.checkpoint import restore_model, restore_optimizer
from zoo.training.features import FeatureBatches
from zoo.training.harness import Harness
from zoo.training.heads.attach import with_head
from zoo.training.heads.choose import ChosenHead
from zoo.training.heads.features import LAST_FEATURES
from zoo.training.heads.frozen import choose_for, features_of_depths
from zoo.training.heads.growth import find_lacking
from zoo.training.heads.together import HeadToAttach, head_of_first
from zoo.training.hosts import Hosts
from zoo.training.lesson import Lesson
from zoo.training.model import build_model, compile_model, get_weights, set_weights
from zoo.training.phases import Phase, Work, phases_of, timed
from zoo.training.temperature import divide_logits, fit_temperature


def train(
    run: Run,
    architecture: Architecture,
    data: ImageData,
    reporter: Reporter,
    *,
    start_weights: Callable[[keras.Model], None] | None = None,
    callbacks: list[Any] | None = None,
    lesson: Lesson | None = None,
    hosts: Hosts | None = None,
) -> keras.Model:
    """Trains what ``run`` describes, from its last checkpoint if it has one, and writes ``model.keras``.

    Args:
        run: An unfinished run. Its ``run.json`` contains recipe, precision, options and seed.
        architecture: The run's architecture.
        data: The run's data. With a lesson, it also contains images without labels.
        reporter: Receives the progress of every stage, batch and epoch.
        start_weights: Sets the pretrained weights of a new model.
        callbacks: Keras callbacks to add. The state of a callback with ``get_state()`` and ``set_state(state)`` (JSON)
            is restored when a run is resumed.
        lesson: Predictions of the run's teachers.
        hosts: The hosts that train the model together. All of them call this function with the same run, but only
            host 1 chooses a head and writes into the run folder.

    Returns:
        The float32 model with the best weights, calibrated if the recipe requires it. On other hosts than host 1, the
        model after the last epoch.

    Raises:
        TrainingError: The loss is not finite from the start, or a checkpoint cannot be read.
        UsageError: The recipe has a head phase, but the architecture declares no backbone.
        ClusterError: A host is lost.
    """
    recipe = run.recipe
    keras.utils.set_random_seed(run.seed)
    # The head is chosen in float32, the precision of the trained model.
    model = _build(run, architecture, data, "float32" if recipe.head == "chosen" else run.info.precision)
    checkpoint = run.path / "checkpoints" / "last.npz"
    resumed = checkpoint.is_file()
    if start_weights and (not resumed or recipe.head == "chosen"):  # the head is chosen again, on the same features
        start_weights(model)
    # Callbacks of plugins come first, so that their positions, by which their state is stored, do not depend on
    # options.
    added = [*_of_plugins(run, hosts), *(callbacks or [])]
    chosen = None
    if recipe.head == "chosen":
        alone = hosts is None or hosts.first
        chosen = head_of_first(hosts, _choose_head(model, architecture, data, run, reporter) if alone else None)
        model = _attach(model, architecture, chosen)
        judged = bool(data.indices(VAL).size)
        if not recipe.epochs or not judged:  # the head is already calibrated
            if recipe.epochs:
                reporter.note("The chosen head is kept: there are no validation images to judge fine-tuning.")
            if hosts:
                hosts.disconnect_jax()
            if alone:
                _keep(model, run, 0.0, best_epoch=0 if recipe.epochs else None)
            reporter.trained()
            return model
        if run.info.precision != "float32":
            model = _in_precision(model, run, architecture, data, chosen)
    with hosts.distributed() if hosts else contextlib.nullcontext():
        if hosts:
            model = _on_all_hosts(model, hosts, run, architecture, data, chosen)
        harness = Harness(run, model, data, reporter, added, recipe.early_stopping_epochs, hosts)
        if resumed:
            harness.restore(*restore_model(checkpoint, model))
        elif chosen:
            harness.keep_as_it_is()
        _fit_phases(Work(run, architecture, data, lesson, model, reporter, hosts), harness, added, resumed)
    if hosts:
        hosts.disconnect_jax()
        if not hosts.first:
            return model
    epochs_s = sum(row["seconds"] for row in harness.progress.history)
    if chosen:
        tuning = harness.gained()
        run.update(tuning=tuning)
        reporter.note(str(tuning))
    if chosen and not harness.progress.best_epoch:
        return _choose_again(run, architecture, data, start_weights, epochs_s, reporter)
    if not harness.best:
        shutil.rmtree(checkpoint.parent, ignore_errors=True)  # resuming would only fail here again
        raise TrainingError(
            "The loss was not finite from the first epoch, so there are no weights to keep.",
            f"Lower the learning rate ({_first_rate(recipe)}), or set --clip-norm 1.",
        )
    final = _build(run, architecture, data, "float32")
    if chosen:
        final = _attach(final, architecture, chosen)
    set_weights(final.weights, harness.best)
    temperature = _calibrate(final, data, reporter) if recipe.calibrate == "temperature" else None
    _keep(final, run, epochs_s, temperature=temperature, best_epoch=harness.progress.best_epoch)
    reporter.trained()
    return final


def _of_plugins(run: Run, hosts: Hosts | None) -> list[Any]:
    """The callbacks of plugins. Most of them log, so on other hosts than host 1, callbacks without effect replace
    them."""
    if hosts and not hosts.first:
        return [keras.callbacks.Callback() for _ in range(int(hosts.group.from_first("callbacks of plugins")))]
    found = list(plugin_manager().callbacks(recipe=run.recipe, run_dir=run.path))
    if hosts:
        hosts.group.from_first("callbacks of plugins", str(len(found)).encode())
    return found


def _on_all_hosts(
    model: keras.Model,
    hosts: Hosts,
    run: Run,
    architecture: Architecture,
    data: ImageData,
    head: HeadToAttach | None,
) -> keras.Model:
    """The same model on the devices of all hosts, with the weights that it has on host 1."""
    weights = hosts.arrays_of_first("initial weights", get_weights(model.weights))
    keras.utils.set_random_seed(run.seed)  # the state of dropout is the same as in a model that is built once
    shared = _build(run, architecture, data, run.info.precision)
    if head:
        shared = _attach(shared, architecture, head)
    set_weights(shared.weights, weights)
    return shared


def _in_precision(
    model: keras.Model, run: Run, architecture: Architecture, data: ImageData, head: HeadToAttach
) -> keras.Model:
    """A copy of a float32 model with a chosen head, in the precision of the run."""
    keras.utils.set_random_seed(run.seed)
    made = _attach(_build(run, architecture, data, run.info.precision), architecture, head)
    set_weights(made.weights, get_weights(model.weights))
    return made


def _fit_phases(work: Work, harness: Harness, added: list[Any], resumed: bool) -> None:
    """Trains in all phases that are not finished yet."""
    checkpoint = work.run.path / "checkpoints" / "last.npz"
    for number, make in enumerate(phases_of(work)):
        if number < harness.progress.phase or (number == harness.progress.phase and harness.progress.stopped):
            continue
        if number > harness.progress.phase:
            harness.next_phase()
            resumed = False
        phase = make(work)
        compile_model(phase.model, phase.recipe, phase.batches.steps)
        if resumed:
            restore_optimizer(checkpoint, phase.model.optimizer)
        _fit(phase, harness, work.reporter, added, resumed)
        resumed = False


def _keep(model: keras.Model, run: Run, epochs_s: float, **found: Any) -> None:
    """Writes ``model.keras``, and writes its results into ``run.json``."""
    with whole_file(run.model_path) as aside:
        model.save(aside)
    timings = {**run.info.timings, "train_s": round(epochs_s + run.preparation_s, 2)}
    run.update(parameters=model.count_params(), timings=timings, **found)


def _choose_head(
    model: keras.Model, architecture: Architecture, data: ImageData, run: Run, reporter: Reporter
) -> ChosenHead:
    """Chooses a head by cross-validation on the training images, and reports and records the result."""
    depths, recipe = architecture.depths, run.recipe
    images = data.only(TRAIN)
    reporter.stage(f"Computing features of {len(depths) + 1} depth(s) of the frozen backbone")
    with timed(run, "features_s"):
        features, damaged = features_of_depths(model, architecture, images, recipe, reporter.counter("features"))
    if damaged:
        reporter.note(damage_note(damaged, "feature vectors"))
    reporter.stage("Choosing a head by cross-validation")
    with timed(run, "head_s"):
        chosen = choose_for(features, images, recipe, run.seed, reporter.counter("choosing"))
    used = tuple(name for name, uses in zip(depths, chosen.uses(features.widths), strict=False) if uses)
    true = images.classes[chosen.positions]
    unjudged = tuple(label for index, label in enumerate(data.labels) if true.size and index not in true)
    counts = np.bincount(images.classes, minlength=len(data.labels))
    lacking = find_lacking(data.labels, counts, true, chosen.probabilities.argmax(1) == true)
    info = replace(chosen.info, depths=used, unjudged=unjudged, lacking=lacking)
    run.update(head=info)
    reporter.note(_told(info, used))
    if unjudged:
        reporter.note(
            f"The head could not be judged on class(es) {quoted(unjudged)}: they have only one training image each, or"
            " only similar ones. They need more photos."
        )
    if info.growth:
        reporter.note(str(info.growth))
    if len(chosen.positions):
        Predictions(
            labels=data.labels,
            files=tuple(images.names[position] for position in chosen.positions),
            true=true,
            probabilities=chosen.probabilities,
        ).write_csv(run.path / CROSS_VALIDATION)
    return chosen


def _choose_again(
    run: Run,
    architecture: Architecture,
    data: ImageData,
    start_weights: Callable[[keras.Model], None] | None,
    epochs_s: float,
    reporter: Reporter,
) -> keras.Model:
    """Chooses a head on the frozen backbone again, on the training and the validation images together."""
    model = _build(run, architecture, data, "float32")
    if start_weights:
        start_weights(model)
    chosen = _choose_head(model, architecture, data.with_validation_as_training(), run, reporter)
    model = _attach(model, architecture, head_of_first(None, chosen))
    _keep(model, run, epochs_s, best_epoch=0)
    reporter.trained()
    return model


def _told(info: HeadInfo, used: Sequence[str]) -> str:
    """A sentence on the chosen head."""
    features = f"the features of {len(used) + 1} depths" if used else "the last features"
    said = f"The head is a {info.method} regression on {features}"
    if info.accuracy is None:
        return f"{said}. There are too few training images to compare heads."
    plain = max(each.accuracy for each in info.tried if each.features == LAST_FEATURES)
    beside = f" (only the last features: {percent(plain)})" if used else ""
    return (
        f"{said}. Accuracy in {info.folds}-fold cross-validation: {percent(info.accuracy)} on {info.images}"
        f" images{beside}."
    )


def _attach(model: keras.Model, architecture: Architecture, head: HeadToAttach) -> keras.Model:
    assert architecture.backbone is not None
    return with_head(model, architecture.depths, architecture.backbone, head.head, head.used)


def _first_rate(recipe: Recipe) -> str:
    """The initial learning rate, and the field that sets it."""
    name = "head_learning_rate" if recipe.head_epochs else "learning_rate"
    return f"{name} was {getattr(recipe, name):g}"


def _calibrate(model: keras.Model, data: ImageData, reporter: Reporter) -> float | None:
    """Calibrates the confidence of the model on the validation images, and returns the temperature."""
    validation = data.indices(VAL)
    if not validation.size:
        reporter.note("The confidence is not calibrated: there are no validation images.")
        return None
    predicted = predict(model, data, validation, total=len(data.names))
    temperature = fit_temperature(predicted, data.classes[validation])
    if divide_logits(model, temperature):
        return round(temperature, 4)
    reporter.note("The confidence is not calibrated: the model has no linear layer directly before its softmax.")
    return None


def _build(run: Run, architecture: Architecture, data: ImageData, precision: str) -> keras.Model:
    options = dict(run.info.options)
    if run.recipe.dropout is not None:
        options["dropout"] = run.recipe.dropout
    return build_model(architecture, data.spec.input_shape, len(data.labels), options, precision)


def _fit(phase: Phase, harness: Harness, reporter: Reporter, added: list[Any], resumed: bool) -> None:
    harness.begin(phase.batches.data, phase.recipe)
    progress = harness.progress
    last_epoch = progress.phase_start + phase.recipe.epochs
    head = isinstance(phase.batches, FeatureBatches)
    reporter.training(last_epoch, phase.batches.steps, len(phase.batches.indices), progress.epoch, head)
    stream = phase.batches.stream(progress.epoch)
    last = keras.callbacks.LambdaCallback(
        # Restored again, because a callback may reset itself when training begins.
        on_train_begin=harness.restore_callbacks if resumed else None,
        on_epoch_end=harness.checkpoint_if_due,
    )
    try:
        phase.model.fit(
            stream,
            steps_per_epoch=phase.batches.steps,
            initial_epoch=progress.epoch,
            epochs=last_epoch,
            callbacks=[harness, *added, last],
            verbose=0,
            shuffle=False,
        )
    finally:
        # A thread of the backend may still use the stream. The stream then ends with the process.
        with contextlib.suppress(ValueError):
            stream.close()
    harness.end()
