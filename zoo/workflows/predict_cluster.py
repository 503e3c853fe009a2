"""Predicts parts of a list of photos on the machines of a cluster."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from zoo.cluster.spread import spread
from zoo.data.reading import DECODER
from zoo.errors import ClusterError
from zoo.evaluation.photo_cluster import compare_versions, refuse_other_copies, unreadable_there
from zoo.images import ImageError, look, patiently, read_file
from zoo.machine import installed
from zoo.predicting.photos import Photo
from zoo.predicting.rows import as_line
from zoo.predicting.unfinished import Goal, Unfinished
from zoo.reporter import Reporter
from zoo.workflows.predict import PredictRequest, kind_of, open_model


def on_cluster(
    request: PredictRequest, packages: Sequence[str], goal: Goal, unfinished: Unfinished, on: str, reporter: Reporter
) -> Iterator[tuple[int, list[str]]]:
    """Yields the number and the rows of each part, in the order in which they are finished.

    Raises:
        ClusterError: The cluster cannot be reached, its connection is lost, or one of its machines does not have the
            same versions, model and photos.
    """
    items = (
        (part.number, json.dumps([photo.as_json() for photo in part.photos]).encode()) for part in unfinished.parts()
    )
    everywhere = replace(_absolute(request), pictures=unfinished.count)
    make = partial(open_predictor, everywhere, goal, _versions(packages))
    for number, result in spread(make, items, on, reporter):
        found = json.loads(result)
        refuse_other_copies(found["host"], found["sizes"], found["contents"])
        for path, reason in found["refused"]:
            with suppress(ImageError):
                look(read_file(path))
                raise unreadable_there(found["host"], path, reason)
        yield number, found["lines"]


def open_predictor(
    request: PredictRequest, goal: Goal, versions: Mapping[str, str], threads: int
) -> Callable[[bytes], bytes]:
    """Loads the model on a machine of the cluster. Returns the function that predicts a part."""
    if kind_of(request) in ("bundle", "archive", "file"):
        request = replace(request, threads=threads)
    answering = open_model(request, Reporter())
    if answering.digest() != goal.model:
        raise ClusterError(
            f"The model '{request.model}' has another content on that machine: SHA-256 {answering.digest()}, expected"
            f" {goal.model}.",
            "Put the model on a disk that all machines of the cluster mount under the same path.",
        )
    compare_versions(_versions(answering.packages), versions)
    folder = Path(goal.folder)

    def predict(item: bytes) -> bytes:
        photos = [Photo(*values) for values in json.loads(item)]
        pictures = [(photo.name, photo.picture(folder)) for photo in photos]
        lines: list[str] = []
        refused: list[tuple[str, str]] = []
        sizes: dict[str, int] = {}
        for photo, (name, answer) in zip(photos, answering.ask(pictures, goal.top), strict=True):
            lines.append(as_line(name, answer, goal.model))
            path = str(folder / photo.path)
            if not isinstance(answer, ImageError):
                with suppress(OSError):  # it was removed meanwhile
                    sizes[path] = patiently(os.stat, path).st_size
            elif not photo.reason:
                refused.append((path, answer.reason))
        contents: dict[str, str] = {}
        for path in list(sizes)[:1]:
            with suppress(ImageError):
                contents[path] = hashlib.sha256(read_file(path)).hexdigest()
        found = {"lines": lines, "refused": refused, "sizes": sizes, "contents": contents, "host": socket.gethostname()}
        return json.dumps(found).encode()

    return predict


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of what determines the predictions for a photo."""
    return {"decoder": DECODER, **installed(packages)}


def _absolute(request: PredictRequest) -> PredictRequest:
    """The same request for a process with another working folder."""
    model = Path(request.model)
    return replace(
        request,
        model=str(model.absolute()) if model.exists() else request.model,
        runs=request.runs.absolute(),
        spec=request.spec.absolute() if isinstance(request.spec, Path) else request.spec,
        labels=request.labels.absolute() if isinstance(request.labels, Path) else request.labels,
    )
