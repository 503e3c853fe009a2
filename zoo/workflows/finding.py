"""Finds the run, architecture or model file that an argument such as RUN refers to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zoo.errors import UsageError, did_you_mean, unknown_name
from zoo.evaluation.trained import TrainedModel, of_run, pretrained
from zoo.registry import architectures
from zoo.run_folder import Run, find_runs, open_run
from zoo.text_files import decode_text, refuse_null_bytes

#: Class names in the order of a model's outputs, or a text file with one per line.
Labels = Path | tuple[str, ...]


def find_run(text: str, root: Path) -> Run:
    """Finds a finished run by its folder, by its name in ``root``, or as the newest run of an architecture.

    Raises:
        UsageError: There is no such run, or it is not finished.
    """
    for path in (Path(text), root / text):
        if (path / "run.json").is_file() or path.name == "run.json":
            run = open_run(path.parent if path.name == "run.json" else path)
            if not run.finished:
                raise UsageError(f"The run {run.path} is not finished.", f"zoo train --resume {run.path}")
            return run
    if text in architectures():
        newest = next(find_runs(root, text), None)
        if newest is None:
            raise UsageError(f"There is no finished run of {text} in {root}.", f"Create one with: zoo train {text}")
        return newest
    if missing := architectures().missing(text):
        raise missing
    guess = did_you_mean(text, [offer.record.name for offer in architectures()])
    raise UsageError(
        f"No run at '{text}'.{guess}",
        f"Give a run folder such as {root / 'simple_cnn-20260131-120000'}, or an architecture.",
    )


def described(asked: str, trained: TrainedModel) -> str:
    """Describes the model that a command uses and its training data, which an architecture's name does not show.

    Args:
        asked: The argument RUN, as the user gave it.
        trained: The model that it refers to.
    """
    if trained.run is None:
        return f"{trained.name}, pretrained: it has no run" if asked == trained.architecture else trained.name
    newest = f", the newest finished run of {asked}" if asked == trained.architecture else ""
    return f"{trained.name}{newest}, trained on {_trained_on(trained.run)}"


def finished_runs(root: Path, architecture: str | None = None, data: str | None = None) -> Iterator[Run]:
    """Finished runs in ``root``, newest first.

    Args:
        root: Folder of runs.
        architecture: Include only runs of this architecture.
        data: Include only runs trained on this data: a path or the name of a dataset.
    """
    sources = () if data is None else (data, str(Path(data).expanduser().absolute()))
    for run in find_runs(root, architecture):
        if data is None or run.info.data.source in sources:
            yield run


def _trained_on(run: Run) -> str:
    data = run.info.data
    images = sum(data.counts.get("train", {}).values())
    return f"{data.source} ({images} images)" if data.source else "unknown data"


def find_trained(text: str, root: Path, weights: str | None = None) -> TrainedModel:
    """Finds a model that can predict: a finished run, or an architecture with pretrained weights.

    Args:
        text: A run, or an architecture.
        root: Folder of runs.
        weights: Name of pretrained weights. They are used even if there is a run.

    Raises:
        UsageError: There is no model of that name.
    """
    architecture = architectures().get(text) if text in architectures() else None
    if weights is not None:
        offered = {offer.name: offer for offer in architecture.weights} if architecture else {}
        if architecture is None:
            raise UsageError(f"--weights requires an architecture; '{text}' is a run.")
        if weights not in offered:
            raise unknown_name(f"weights of {text}", weights, offered)
        return pretrained(architecture, offered[weights])
    if architecture and architecture.weights and next(find_runs(root, text), None) is None:
        return pretrained(architecture, architecture.weights[0])
    return of_run(find_run(text, root))


def is_lone(path: Path, labels: Labels | None) -> bool:
    """Whether a path is a model file from outside zoo, and not the model of the run whose folder contains it."""
    from zoo.foreign.read import is_foreign

    return is_foreign(path) and not (path.name == "model.keras" and _of_run(path) and labels is None)


def _of_run(path: Path) -> bool:
    return (path.parent / "run.json").is_file()


def find_model(
    text: str, root: Path, weights: str | None, labels: Labels | None, pixels: str | None = None
) -> TrainedModel:
    """Finds a model like ``find_trained``, or the model of a ``.keras`` file, whether or not it belongs to a run.

    Raises:
        UsageError: There is no model of that name, or an option does not apply to it.
    """
    path = Path(text)
    if not is_lone(path, labels):
        if labels is not None:
            raise UsageError(
                "--labels applies to a .keras file only; a run or an architecture has its own class names."
            )
        if pixels is not None:
            raise UsageError(
                "--pixels applies only to a .keras file without a run; a run or an architecture takes raw pixels."
            )
        return find_trained(str(path.parent) if path.suffix == ".keras" else text, root, weights)
    if weights is not None:
        raise UsageError(f"--weights requires an architecture; '{path}' is a file.")
    return find_keras_file(path, labels, pixels)


def find_keras_file(path: Path, labels: Labels | None, pixels: str | None) -> TrainedModel:
    """The model of a ``.keras`` file without a run.

    Args:
        path: Path of the file.
        labels: Class names.
        pixels: The pixel range that the model expects. ``None``: raw pixels, 0 to 255.

    Raises:
        UsageError: A file does not exist, or the files do not match.
    """
    from zoo.foreign.read import check_kind

    check_kind(path)
    if labels is None:
        raise UsageError(f"'{path}' has no class names.", "Give a text file of class names with --labels.")
    names = read_labels(labels)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        where = labels if isinstance(labels, Path) else "labels"
        raise UsageError(f"{where} names '{twice[0]}' twice.", "The class names must be unique.")
    from zoo.backend import start_keras

    start_keras()
    from zoo.foreign.trained import of_file

    return of_file(path, names, pixels)


def read_labels(path: Labels) -> tuple[str, ...]:
    """Reads class names from a text file, one per line. Empty lines are ignored. A sequence of names is returned as is.

    Raises:
        UsageError: The file does not exist or is not text.
    """
    if isinstance(path, tuple):
        return path
    if not path.is_file():
        raise UsageError(
            f"The file '{path}' does not exist.", "--labels must be a text file with one class name per line."
        )
    try:
        text = decode_text(path.read_bytes(), strict=True)
        refuse_null_bytes(text)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"Could not read '{path}': {error}.", "Save it as UTF-8, with one class name per line."
        ) from error
    return tuple(line.strip() for line in text.split("\n") if line.strip())
