"""The training loop: Keras ``fit`` over our batches, validation, best weights, and a checkpoint to go on from."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from zoo.data import TRAIN, VAL, ImageData
from zoo.errors import TrainingError
from zoo.evaluation.predict import predict
from zoo.interfaces import Architecture
from zoo.recipe import Recipe
from zoo.registry import plugin_manager
from zoo.runs import Run
from zoo.runs.atomic import make_folder, whole_file, write_csv
from zoo.training.batches import TrainingBatches
from zoo.training.checkpoint import Arrays, Progress, load_checkpoint, save_checkpoint
from zoo.training.model import build_model, compile_model, get_weights, learning_rate, set_weights
from zoo.training.reporter import Reporter

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")

#: A checkpoint may cost this share of the time spent training; small models get one every epoch.
_CHECKPOINT_SHARE = 0.03


def train(
    run: Run, architecture: Architecture, data: ImageData, reporter: Reporter, callbacks: list[Any] | None = None
) -> keras.Model:
    """Trains what ``run`` describes, from its last checkpoint if it has one, and writes ``model.keras``.

    Args:
        run: An unfinished run; its ``run.json`` says recipe, precision and seed.
        architecture: The run's architecture.
        data: The run's data.
        reporter: Hears of every stage, batch and epoch.
        callbacks: Keras callbacks to add. One with ``get_state()`` and ``set_state(state)`` (JSON) is resumed too.

    Returns:
        The float32 model with the best weights.
    """
    recipe = run.recipe
    batches = TrainingBatches(data, data.indices(TRAIN), recipe, run.seed)
    keras.utils.set_random_seed(run.seed)
    model = build_model(
        architecture, data.spec.input_shape, len(data.labels), dropout=recipe.dropout, precision=run.info["precision"]
    )
    compile_model(model, recipe, batches.steps)
    added = [*(callbacks or []), *plugin_manager().callbacks(recipe=recipe, run_dir=run.path)]
    harness = _Harness(run, data, batches, reporter, added)
    checkpoint = run.path / "checkpoints" / "last.npz"
    if checkpoint.is_file():
        harness.restore(*load_checkpoint(checkpoint, model))
    if not harness.progress.stopped:
        _fit(model, batches, harness, recipe, added)
    if not harness.best:
        raise TrainingError(
            "The loss was not finite from the first epoch on; there is nothing to keep.",
            f"Lower the learning rate (it was {recipe.learning_rate:g}), or set --clip-norm 1.",
        )
    final = build_model(architecture, data.spec.input_shape, len(data.labels), dropout=recipe.dropout)
    set_weights(final.weights, harness.best)
    with whole_file(run.model_path) as aside:
        final.save(aside)
    run.info["parameters"] = final.count_params()
    run.info["best_epoch"] = harness.progress.best_epoch
    run.info.setdefault("timings", {})["train_s"] = round(sum(row["seconds"] for row in harness.progress.history), 2)
    run.save_info()
    reporter.trained()
    return final


def _fit(model: keras.Model, batches: TrainingBatches, harness: _Harness, recipe: Recipe, added: list[Any]) -> None:
    first_epoch = harness.progress.epoch
    stream = batches.stream(first_epoch)
    harness.reporter.training(recipe.epochs, batches.steps, len(batches.indices), first_epoch)
    try:
        model.fit(
            stream,
            steps_per_epoch=batches.steps,
            initial_epoch=first_epoch,
            epochs=recipe.epochs,
            callbacks=[harness, *added, keras.callbacks.LambdaCallback(on_epoch_end=harness.checkpoint_if_due)],
            verbose=0,
            shuffle=False,
        )
    finally:
        stream.close()
    harness.finish(model)


class _Harness(keras.callbacks.Callback):
    """After every epoch: validate, keep the best, write history and checkpoint, decide whether to go on.

    It comes before all other callbacks, so that they find ``val_loss`` and ``val_accuracy`` in the logs.
    """

    def __init__(
        self, run: Run, data: ImageData, batches: TrainingBatches, reporter: Reporter, added: list[Any]
    ) -> None:
        super().__init__()
        self.run = run
        self.data = data
        self.batches = batches
        self.reporter = reporter
        self.added = added
        self.progress = Progress()
        self.best: Arrays = []
        self._validation = data.indices(VAL)
        self._epoch_start = self._checkpoint_end = time.perf_counter()
        self._checkpoint_seconds = 0.0

    def restore(self, progress: Progress, best: Arrays) -> None:
        self.progress = progress
        self.best = best
        for index, callback in enumerate(self.added):
            if hasattr(callback, "set_state") and str(index) in progress.callbacks:
                callback.set_state(progress.callbacks[str(index)])

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self.reporter.batch(batch + 1, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs if logs is not None else {}
        rate = learning_rate(self.model)
        if not math.isfinite(logs.get("loss", 0.0)):
            # Nothing good can follow; the best weights so far are kept.
            self.reporter.note(
                f"The loss is {logs['loss']} at epoch {epoch + 1}: training stops. Lower the learning rate."
            )
            self.progress.stopped = True
        else:
            logs |= self._validate(epoch)
        row = {"epoch": epoch + 1, **{name: float(logs.get(name, math.nan)) for name in HISTORY_COLUMNS[1:5]}}
        row |= {"learning_rate": rate, "seconds": round(time.perf_counter() - self._epoch_start, 3)}
        progress = self.progress
        progress.history.append(row)
        progress.epoch = epoch + 1
        patience = self.batches.recipe.early_stopping_epochs
        waited = progress.epoch - progress.best_epoch
        progress.stopped |= progress.epoch >= self.batches.recipe.epochs or 0 < patience <= waited
        self.model.stop_training = progress.stopped
        self._write_history()
        self.reporter.epoch(epoch + 1, row, best=progress.best_epoch == epoch + 1)

    def finish(self, model: keras.Model) -> None:
        """A callback of somebody else may have ended the training: that is final too."""
        if not self.progress.stopped:
            self.progress.stopped = True
            self._save(model)

    def _validate(self, epoch: int) -> dict[str, float]:
        """Measures the weights that would be kept, and keeps them where they are the best so far."""
        trained = self._use_averaged_weights()
        logs: dict[str, float] = {}
        loss = -math.inf  # without a validation split the last epoch is the best
        if len(self._validation):
            probabilities = predict(self.model, self.data, self._validation)
            true = self.data.classes[self._validation]
            likelihood = probabilities[np.arange(len(true)), true].astype(np.float64)
            loss = float(-np.log(np.maximum(likelihood, 1e-7)).mean())
            logs = {"val_loss": loss, "val_accuracy": float((probabilities.argmax(1) == true).mean())}
        if loss < self.progress.best_loss or not len(self._validation):
            self.progress.best_loss = loss if len(self._validation) else math.inf
            self.progress.best_epoch = epoch + 1
            self.best = get_weights(self.model.weights)
        if trained:
            set_weights(self.model.trainable_variables, trained)
        return logs

    def _use_averaged_weights(self) -> Arrays:
        """Puts the moving averages into the model and returns what they replaced; nothing without averaging."""
        if not self.batches.recipe.ema_momentum:
            return []
        trained = get_weights(self.model.trainable_variables)
        averages = self.model.optimizer._model_variables_moving_average
        set_weights(self.model.trainable_variables, get_weights(averages))
        return trained

    def checkpoint_if_due(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Comes after all other callbacks, whose state it saves."""
        waited = time.perf_counter() - self._checkpoint_end
        if self.progress.stopped or waited * _CHECKPOINT_SHARE >= self._checkpoint_seconds:
            self._save(self.model)

    def _save(self, model: keras.Model) -> None:
        start = time.perf_counter()
        self.progress.callbacks = {
            str(index): callback.get_state()
            for index, callback in enumerate(self.added)
            if hasattr(callback, "get_state")
        }
        make_folder(self.run.path / "checkpoints")
        save_checkpoint(self.run.path / "checkpoints" / "last.npz", model, self.progress, self.best)
        self._checkpoint_end = time.perf_counter()
        self._checkpoint_seconds = self._checkpoint_end - start

    def _write_history(self) -> None:
        rows = [[row[name] for name in HISTORY_COLUMNS] for row in self.progress.history]
        write_csv(self.run.path / "history.csv", HISTORY_COLUMNS, rows)
