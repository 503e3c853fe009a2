"""The steps after every epoch:

validate, keep the best weights, write history and checkpoint, and check early stopping.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.atomic import make_folder, write_csv
from zoo.backend import on_accelerator
from zoo.data import VAL, ImageData
from zoo.evaluation.predict import predict
from zoo.recipe import Recipe
from zoo.reporter import Reporter
from zoo.run_folder import Run
from zoo.run_folder.info import TuningInfo
from zoo.training.checkpoint import Arrays, Progress, save_checkpoint
from zoo.training.hosts import Hosts
from zoo.training.model import get_weights, learning_rate, set_weights
from zoo.training.temperature import calibrated_errors

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")

#: Maximum share of the training time that is used for writing checkpoints. Small models write one after every epoch.
_CHECKPOINT_SHARE = 0.03


class Harness(keras.callbacks.Callback):
    """The callback that runs first, so that all others find ``val_loss`` and ``val_accuracy`` in the logs.

    Args:
        run: The run folder for history and checkpoints.
        whole: The whole model. Its best weights are kept, even if a phase trains only its head.
        data: The data, with the positions of the validation images.
        reporter: Receives the progress.
        added: The other callbacks, whose state is saved in the checkpoint.
        patience: Number of epochs without improvement after which a phase ends. 0 disables early stopping.
        hosts: The hosts that train the model together. ``None``: one process. Only host 1 writes into the run folder.
    """

    def __init__(
        self,
        run: Run,
        whole: keras.Model,
        data: ImageData,
        reporter: Reporter,
        added: list[Any],
        patience: int,
        hosts: Hosts | None = None,
    ) -> None:
        super().__init__()
        # With an accelerator, Keras may call on_batch_end asynchronously. On a CPU, Keras would then run many steps
        # ahead, and an interruption would wait for all of them.
        self.async_safe = on_accelerator()
        self.run = run
        self.whole = whole
        self.reporter = reporter
        self.added = added
        self.patience = patience
        self.hosts = hosts
        self.progress = Progress()
        self.best: Arrays = []
        self._validation = data.indices(VAL)
        self._recipe = run.recipe
        self._data = data
        self._epoch_start = self._checkpoint_end = time.perf_counter()
        self._checkpoint_seconds = 0.0

    def restore(self, progress: Progress, best: Arrays) -> None:
        """Restores the state from a checkpoint."""
        self.progress = progress
        self.best = best
        self.restore_callbacks()

    def restore_callbacks(self, logs: Mapping[str, float] | None = None) -> None:
        """Restores the state of the other callbacks from the checkpoint."""
        for index, callback in enumerate(self.added):
            if hasattr(callback, "set_state") and str(index) in self.progress.callbacks:
                callback.set_state(self.progress.callbacks[str(index)])

    def keep_as_it_is(self) -> None:
        """Keeps the current weights, which include a chosen head. An epoch replaces them only if it improves.

        There must be validation images.
        """
        progress = self.progress
        probabilities, true = self._predicted(self.whole)
        progress.best_accuracy, progress.best_loss = _accuracy_and_loss(probabilities, true)
        progress.head_accuracy = progress.best_accuracy
        errors = calibrated_errors(probabilities, true)
        progress.head_errors, progress.best_error = tuple(errors.tolist()), float(errors.mean())
        self.best = get_weights(self.whole.weights)

    def gained(self) -> TuningInfo:
        """What the epochs gained over the chosen head."""
        progress = self.progress
        kept = progress.best_epoch > 0
        found = (progress.best_error, progress.best_accuracy, progress.best_epoch) if kept else progress.lowest
        return TuningInfo(
            images=len(progress.head_errors),
            kept=kept,
            head_accuracy=progress.head_accuracy,
            head_brier_score=float(np.mean(progress.head_errors)),
            epoch=int(found[2]) if found else 0,
            accuracy=found[1] if found else None,
            brier_score=found[0] if found else None,
        )

    def next_phase(self) -> None:
        """Starts the next phase with the best weights of the previous one."""
        if self.best:
            set_weights(self.whole.weights, self.best)
        self.progress.phase += 1
        self.progress.phase_start = self.progress.epoch
        self.progress.stopped = False

    def begin(self, data: ImageData, recipe: Recipe) -> None:
        """Prepares a call of ``fit`` on ``data`` (images or features) with ``recipe``."""
        self._data = data
        self._recipe = recipe

    def end(self) -> None:
        """Ends a phase after ``fit`` returned. A resumed run does not continue this phase."""
        if not self.progress.stopped:
            self.progress.stopped = True
            self._save()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._epoch_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self.reporter.batch(batch + 1, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = logs if logs is not None else {}
        progress = self.progress
        rate = learning_rate(self.model)
        if math.isfinite(logs.get("loss", 0.0)):
            logs |= self._validate(epoch)
        else:
            # The training cannot recover, so the best weights so far are kept.
            self.reporter.note(
                f"The loss is {logs['loss']} at epoch {epoch + 1}: training is stopped. Use a lower learning rate."
            )
            progress.stopped = True
        row = {"epoch": epoch + 1, **{name: float(logs.get(name, math.nan)) for name in HISTORY_COLUMNS[1:5]}}
        row |= {"learning_rate": rate, "seconds": round(time.perf_counter() - self._epoch_start, 3)}
        progress.history.append(row)
        progress.epoch = epoch + 1
        waited = progress.epoch - max(progress.best_epoch, progress.phase_start)
        progress.stopped |= progress.epoch >= progress.phase_start + self._recipe.epochs
        progress.stopped |= 0 < self.patience <= waited
        progress.stopped |= bool(self.model.stop_training)  # another callback may have requested it
        self.model.stop_training = progress.stopped
        self.reporter.epoch(epoch + 1, row, best=progress.best_epoch == epoch + 1)

    def checkpoint_if_due(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Writes the checkpoint. It is called after all other callbacks, whose state it saves."""
        if self.hosts:
            self.model.stop_training = self.hosts.stops(bool(self.model.stop_training))
        waited = time.perf_counter() - self._checkpoint_end
        if self.progress.stopped or waited * _CHECKPOINT_SHARE >= self._checkpoint_seconds:
            self._save()

    def _validate(self, epoch: int) -> dict[str, float]:
        """Evaluates the current weights on the validation images, and keeps them if they are the best so far."""
        trained = self._use_averaged_weights()
        logs: dict[str, float] = {}
        best = True  # without validation images, the last epoch is kept
        if len(self._validation):
            probabilities, true = self._predicted(self.model)
            accuracy, loss = _accuracy_and_loss(probabilities, true)
            logs = {"val_loss": loss, "val_accuracy": accuracy}
            if self.progress.head_errors:
                errors = calibrated_errors(probabilities, true)
                error = float(errors.mean())
                if math.isfinite(error):
                    found = (error, accuracy, float(epoch + 1))
                    self.progress.lowest = min(self.progress.lowest or found, found)
                best = self._improves(errors, accuracy)
            else:
                # By the loss alone, an early epoch would be best, because one confident mistake outweighs many correct
                # predictions.
                best = (accuracy, -loss) > (self.progress.best_accuracy, -self.progress.best_loss)
            if best:
                self.progress.best_accuracy, self.progress.best_loss = accuracy, loss
        if best:
            self.progress.best_epoch = epoch + 1
            self.best = get_weights(self.whole.weights)
        if trained:
            set_weights(self.model.trainable_variables, trained)
        return logs

    def _improves(self, errors: NDArray[np.float64], accuracy: float) -> bool:
        """Whether an epoch is better than the chosen head, and has the lowest mean error so far.

        It must predict more validation images correctly, and its mean error must be lower by more than a standard
        error. The best of several epochs would often be accepted by chance otherwise. If all validation images are
        easy, their errors become smaller with the confidence alone, which shows nothing about difficult images.
        """
        gain = np.array(self.progress.head_errors) - errors
        standard_error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
        correct = accuracy > (self.progress.head_accuracy or 0.0)
        best = correct and errors.mean() < self.progress.best_error and gain.mean() > standard_error
        if best:
            self.progress.best_error = float(errors.mean())
        return bool(best)

    def _predicted(self, model: keras.Model) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Probabilities and classes of the validation images."""
        true = self._data.classes[self._validation]
        if self.hosts is None:
            return predict(model, self._data, self._validation), true
        total = len(self._validation)
        return self.hosts.predict(lambda own: predict(model, self._data, own, total=total), self._validation), true

    def _use_averaged_weights(self) -> Arrays:
        """Replaces the weights by their moving averages. Returns the original weights, or ``[]`` without averaging."""
        if not self._recipe.ema_momentum:
            return []
        trained = get_weights(self.model.trainable_variables)
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)
        return trained

    def _save(self) -> None:
        if self.hosts and not self.hosts.first:
            return
        start = time.perf_counter()
        self.progress.callbacks = {
            str(index): callback.get_state()
            for index, callback in enumerate(self.added)
            if hasattr(callback, "get_state")
        }
        make_folder(self.run.path / "checkpoints")
        checkpoint = self.run.path / "checkpoints" / "last.npz"
        save_checkpoint(checkpoint, self.whole, self.model.optimizer, self.progress, self.best)
        rows = [[row[name] for name in HISTORY_COLUMNS] for row in self.progress.history]
        write_csv(self.run.path / "history.csv", HISTORY_COLUMNS, rows)
        self._checkpoint_end = time.perf_counter()
        self._checkpoint_seconds = self._checkpoint_end - start


def _accuracy_and_loss(probabilities: NDArray[np.float32], true: NDArray[np.int64]) -> tuple[float, float]:
    likelihood = probabilities[np.arange(len(true)), true].astype(np.float64)
    loss = float(-np.log(np.maximum(likelihood, 1e-7)).mean())
    return float((probabilities.argmax(1) == true).mean()), loss
