"""Everything that is needed to resume a run exactly: one file, written atomically after an epoch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.array_files import ArrayFile, open_arrays
from zoo.atomic import whole_file
from zoo.errors import TrainingError
from zoo.records import read_object, read_record
from zoo.training.model import get_weights, set_weights

Arrays = list[NDArray[np.generic]]


@dataclass
class Progress:
    """The progress of a run, without the weights.

    Args:
        epoch: Number of completed epochs over all phases.
        phase: Index of the current phase, from 0.
        phase_start: Number of completed epochs at the start of the phase.
        stopped: Whether the phase is finished, after all its epochs or by early stopping.
        best_epoch: The epoch whose weights are kept, from 1. 0 before the first.
        best_accuracy, best_loss: Validation accuracy and loss of that epoch.
        head_errors: Squared error of the chosen head on each validation image. Epochs are kept only if they improve on
            it. Empty without a chosen head.
        best_error: Mean squared error of the kept weights on the same images, from 0 to 2.
        head_accuracy: Validation accuracy of the chosen head. ``None`` in checkpoints of older versions.
        lowest: Mean squared error, accuracy and number of the epoch with the lowest error, kept or not. Empty before
            the first epoch, and without a chosen head.
        history: One row per epoch, as in ``history.csv``.
        callbacks: State of each callback that has a state, by the position of the callback.
    """

    epoch: int = 0
    phase: int = 0
    phase_start: int = 0
    stopped: bool = False
    best_epoch: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    head_errors: tuple[float, ...] = ()
    best_error: float = 2.0
    head_accuracy: float | None = None
    lowest: tuple[float, ...] = ()
    history: list[dict[str, float]] = field(default_factory=list)
    callbacks: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: Path, model: keras.Model, optimizer: keras.optimizers.Optimizer, progress: Progress, best: Arrays
) -> None:
    """Writes weights, optimizer state, random states, best weights and progress.

    ``model.variables`` also contains the random state of its layers, so that dropout continues exactly after a resume.
    """
    arrays = {f"model/{index}": value for index, value in enumerate(get_weights(model.variables))}
    arrays |= {f"optimizer/{index}": value for index, value in enumerate(get_weights(optimizer.variables))}
    arrays |= {f"best/{index}": value for index, value in enumerate(best)}
    arrays["progress"] = np.array(json.dumps(asdict(progress)))
    with whole_file(path) as aside:
        np.savez(aside, **arrays)  # type: ignore[arg-type]


def restore_model(path: Path, model: keras.Model) -> tuple[Progress, Arrays]:
    """Restores the state of a model.

    Returns:
        The progress, and the best weights so far.

    Raises:
        TrainingError: The file is damaged, or belongs to another model.
    """
    with _opened(path) as file:
        set_weights(model.variables, _numbered(file, "model"))
        return _progress(str(file.read("progress"))), _numbered(file, "best")


def restore_optimizer(path: Path, optimizer: keras.optimizers.Optimizer) -> None:
    """Restores the optimizer of the interrupted phase. Raises the same errors as ``restore_model``."""
    with _opened(path) as file:
        set_weights(optimizer.variables, _numbered(file, "optimizer"))


@contextmanager
def _opened(path: Path) -> Iterator[ArrayFile]:
    try:
        with path.open("rb") as opened, open_arrays(opened) as file:
            yield file
    except Exception as error:  # zipfile, zlib, json and Keras each raise their own errors
        hint = "The checkpoint is damaged. Train again."
        raise TrainingError(f"Could not resume from {path}: {error}", hint) from error


def _progress(text: str) -> Progress:
    # A loss may be infinite or NaN, which a record does not allow.
    values = read_object(text)
    numbers = {name: values.pop(name) for name in ("best_accuracy", "best_loss", "history")}
    progress = read_record(Progress, values)
    progress.best_accuracy, progress.best_loss = (float(numbers[name]) for name in ("best_accuracy", "best_loss"))
    # Integers remain integers, so that history.csv equals that of an uninterrupted run.
    progress.history = [
        {str(name): value if isinstance(value, int) else float(value) for name, value in row.items()}
        for row in numbers["history"]
    ]
    return progress


def _numbered(file: ArrayFile, group: str) -> Arrays:
    count = sum(name.startswith(f"{group}/") for name in file.names)
    return [file.read(f"{group}/{index}") for index in range(count)]
