"""What RUN names on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zoo.errors import UsageError, did_you_mean, unknown_name
from zoo.evaluation.trained import TrainedModel, of_run, pretrained
from zoo.registry import architectures
from zoo.run_folder import Run, find_runs, open_run
from zoo.text_files import decode_text, refuse_null_bytes

#: Class names in the order of a model's outputs, or a text file of them, one a line.
Labels = Path | tuple[str, ...]


def find_run(text: str, root: Path) -> Run:
    """A finished run: by its folder, by its name below ``root``, or the newest of an architecture.

    Raises:
        UsageError: There is none, or it is not finished.
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
            raise UsageError(f"There is no finished run of {text} in {root}.", f"zoo train {text} makes one.")
        return newest
    if missing := architectures().missing(text):
        raise missing
    guess = did_you_mean(text, [offer.record.name for offer in architectures()])
    raise UsageError(
        f"No run at '{text}'.{guess}",
        f"Give a run folder such as {root / 'simple_cnn-20260131-120000'}, or an architecture.",
    )


def described(asked: str, trained: TrainedModel) -> str:
    """Which model a command works with, and what it was trained on: an architecture's name does not say so.

    Args:
        asked: RUN, as the user gave it.
        trained: What it names.
    """
    if trained.run is None:
        return f"{trained.name}: there is no run of it" if asked == trained.architecture else trained.name
    newest = f", the newest finished run of {asked}" if asked == trained.architecture else ""
    return f"{trained.name}{newest}, trained on {_trained_on(trained.run)}"


def finished_runs(root: Path, architecture: str | None = None, data: str | None = None) -> Iterator[Run]:
    """Finished runs below ``root``, the newest first.

    Args:
        root: Folder of runs.
        architecture: Those of it alone.
        data: Those that were trained on it alone: a path or the name of a dataset.
    """
    sources = () if data is None else (data, str(Path(data).expanduser().absolute()))
    for run in find_runs(root, architecture):
        if data is None or run.info.data.source in sources:
            yield run


def _trained_on(run: Run) -> str:
    data = run.info.data
    images = sum(data.counts.get("train", {}).values())
    return f"{data.source} ({images} images)" if data.source else "data that it does not name"


def find_trained(text: str, root: Path, weights: str | None = None) -> TrainedModel:
    """What can answer under that name: a finished run, or an architecture with pretrained weights.

    Args:
        text: A run, or an architecture.
        root: Folder of runs.
        weights: Name of pretrained weights, which then are taken even if there is a run.

    Raises:
        UsageError: Nothing of that name can answer.
    """
    architecture = architectures().get(text) if text in architectures() else None
    if weights is not None:
        offered = {offer.name: offer for offer in architecture.weights} if architecture else {}
        if architecture is None:
            raise UsageError(f"--weights goes with an architecture, not with the run '{text}'.")
        if weights not in offered:
            raise unknown_name(f"weights of {text}", weights, offered)
        return pretrained(architecture, offered[weights])
    if architecture and architecture.weights and next(find_runs(root, text), None) is None:
        return pretrained(architecture, architecture.weights[0])
    return of_run(find_run(text, root))


def is_lone(path: Path, labels: Labels | None) -> bool:
    """Whether a path is a model file from elsewhere, and not the model of the run that it lies in."""
    from zoo.foreign.read import is_foreign

    return is_foreign(path) and not (path.name == "model.keras" and _of_run(path) and labels is None)


def _of_run(path: Path) -> bool:
    return (path.parent / "run.json").is_file()


def find_model(
    text: str, root: Path, weights: str | None, labels: Labels | None, pixels: str | None = None
) -> TrainedModel:
    """What ``find_trained`` finds, or the model of a ``.keras`` file: of the run it lies in, or a lone one.

    Raises:
        UsageError: Nothing of that name can answer, or an option does not go with it.
    """
    path = Path(text)
    if not is_lone(path, labels):
        if labels is not None:
            raise UsageError("--labels goes with a .keras file; a run and an architecture know their own.")
        if pixels is not None:
            raise UsageError("--pixels goes with a lone .keras file; a run and an architecture take raw pixels.")
        return find_trained(str(path.parent) if path.suffix == ".keras" else text, root, weights)
    if weights is not None:
        raise UsageError(f"--weights goes with an architecture, not with the file '{path}'.")
    return find_keras_file(path, labels, pixels)


def find_keras_file(path: Path, labels: Labels | None, pixels: str | None) -> TrainedModel:
    """The model of a lone ``.keras`` file.

    Args:
        path: Of the file.
        labels: Its class names.
        pixels: The range of pixels that it expects; ``None``: raw ones.

    Raises:
        UsageError: One of them is not there, or they do not fit each other.
    """
    from zoo.foreign.read import check_kind

    check_kind(path)
    if labels is None:
        raise UsageError(f"'{path}' does not say what its classes are called.", "Give a file of names with --labels.")
    names = read_labels(labels)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        where = labels if isinstance(labels, Path) else "labels"
        raise UsageError(f"{where} names '{twice[0]}' twice.", "Each class needs a name of its own.")
    from zoo.backend import start_keras

    start_keras()
    from zoo.foreign.trained import of_file

    return of_file(path, names, pixels)


def read_labels(path: Labels) -> tuple[str, ...]:
    """Class names of a text file, one a line; empty lines do not count. Names that are given as such are returned.

    Raises:
        UsageError: There is no such file, or it is no text.
    """
    if isinstance(path, tuple):
        return path
    if not path.is_file():
        raise UsageError(f"There is no file '{path}'.", "--labels takes a text file with one class name a line.")
    try:
        text = decode_text(path.read_bytes(), strict=True)
        refuse_null_bytes(text)
    except (OSError, ValueError) as error:
        raise UsageError(f"Could not read '{path}': {error}.", "Save it as UTF-8, one class name a line.") from error
    return tuple(line.strip() for line in text.split("\n") if line.strip())
