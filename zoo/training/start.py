"""The initial weights of a model: pretrained weights of the architecture, a file of the user, or random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import TrainingError, UsageError, unknown_name
from zoo.interfaces import Architecture
from zoo.run_folder import open_run

if TYPE_CHECKING:
    import keras

RANDOM = "none"


def default_weights(architecture: Architecture) -> str:
    """The first pretrained weights of the architecture, or else random weights."""
    return architecture.weights[0].name if architecture.weights else RANDOM


def find_weights(architecture: Architecture, name: str) -> str:
    """Resolves ``--weights`` to the name of pretrained weights or the absolute path of a file.

    It is called before large packages are imported, so that missing weights are reported early.

    Raises:
        UsageError: There are no weights of that name, and no such file.
    """
    if name == RANDOM or name in {weights.name for weights in architecture.weights}:
        return name
    path = Path(name)
    if path.suffix not in (".npz", ".keras"):
        offered = [weights.name for weights in architecture.weights]
        raise unknown_name(f"weights of {architecture.name}", name, [*offered, RANDOM, "an .npz or .keras file"])
    if not path.is_file():
        raise UsageError(
            f"The weight file '{name}' does not exist.", "Give an .npz or a .keras file, or the name of weights."
        )
    return str(path.absolute())


def start_weights(
    architecture: Architecture, name: str, labels: tuple[str, ...]
) -> Callable[[keras.Model], None] | None:
    """A function that sets the weights of a new model, or ``None`` for random weights.

    The head of pretrained weights is for other classes and stays random. The same applies to the head of a file, unless
    it belongs to a run that was trained on exactly these classes.
    """
    if name == RANDOM:
        return None
    for weights in architecture.weights:
        if weights.name == name:
            return lambda model: weights.load(model, False)
    from zoo.weights import load_weights

    path = Path(name)

    def load(model: keras.Model) -> None:
        load_weights(model, path, backbone=architecture.backbone, with_head=_labels_beside(path) == labels)

    return load


def _labels_beside(path: Path) -> tuple[str, ...] | None:
    try:
        return open_run(path.parent).labels
    except (UsageError, TrainingError):
        return None
