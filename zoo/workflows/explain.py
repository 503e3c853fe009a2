"""Explains predictions: draws for each photo where the model finds the evidence for a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT
from zoo.workflows.host import host_kept
from zoo.workflows.predict import PredictRequest, open_model

if TYPE_CHECKING:
    from zoo.edge.explanation import Explanation
    from zoo.workflows.finding import Labels


@dataclass(frozen=True, kw_only=True)
class ExplainRequest:
    """What to explain.

    Args:
        model: A run, an architecture, a ``.keras`` file, or a bundle or file that was exported with a map.
        photos: Files, folders, or ``-`` for standard input.
        label: The class to explain. ``None``: the predicted class of each photo.
        out: Folder for the images. It is created if it does not exist.
        runs: Folder of runs.
        weights: Name of pretrained weights. ``model`` must then be an architecture.
        labels, pixels: Class names and pixel range of a ``.keras`` file without a run.
    """

    model: str
    photos: tuple[str, ...]
    label: str | None = None
    out: Path = Path("explained")
    runs: Path = DEFAULT_ROOT
    weights: str | None = None
    labels: Labels | None = None
    pixels: str | None = None


@dataclass(frozen=True)
class Explained:
    """Result for one photo.

    Args:
        file: The photo.
        explanation: The evidence map. ``None`` if the photo cannot be used.
        picture: The image file that shows the photo and its evidence.
        problem: Why the photo cannot be used.
    """

    file: str
    explanation: Explanation | None = None
    picture: Path | None = None
    problem: str = ""


def explain(request: ExplainRequest, reporter: Reporter) -> Iterator[Explained]:
    """Draws the evidence map of each photo. For a photo that cannot be used, the reason is yielded, and the work
    continues with the next photo.

    Raises:
        UsageError: The model does not exist or cannot be explained, or the class does not exist.
        DataError: A folder or file cannot be written.
    """
    from zoo.atomic import make_folder
    from zoo.edge.explain import places_of
    from zoo.edge.explanation import free_name
    from zoo.edge.sources import listed
    from zoo.images import ImageError

    asked = PredictRequest(
        model=request.model,
        runs=request.runs,
        weights=request.weights,
        labels=request.labels,
        pixels=request.pixels,
    )
    answering = open_model(asked, reporter)
    for note in answering.notes:
        reporter.note(note)
    places_of(request.label, answering.labels)  # raises before the first photo is read
    if request.out.exists() and not request.out.is_dir():
        raise UsageError(
            f"--out must be a folder; {request.out} is a file.", "Give a folder. It is created if it does not exist."
        )
    taken: set[str] = set()
    for name, picture in listed(request.photos):
        try:
            if isinstance(picture, ImageError):
                raise picture
            with host_kept():
                found = answering.explain(picture, name, request.label)
        except ImageError as error:
            yield Explained(name, problem=error.reason)
            continue
        make_folder(request.out)
        yield Explained(name, found, found.save(request.out / free_name(name, taken)))
