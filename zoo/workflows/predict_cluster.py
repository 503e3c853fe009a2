"""Predicts parts of a list of photos on the machines of a cluster."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from zoo.cluster.spread import spread
from zoo.errors import ClusterError
from zoo.predicting.photos import Photo
from zoo.predicting.rows import as_line
from zoo.predicting.unfinished import Goal, Unfinished
from zoo.reporter import Reporter
from zoo.workflows.predict import PredictRequest, kind_of, open_model


def on_cluster(
    request: PredictRequest, goal: Goal, unfinished: Unfinished, on: str, reporter: Reporter
) -> Iterator[tuple[int, list[str]]]:
    """Yields the number and the rows of each part, in the order in which they are finished.

    Raises:
        ClusterError: The cluster cannot be reached, its connection is lost, or one of its machines does not have the
            model or the photos.
    """
    items = (
        (part.number, json.dumps([photo.as_json() for photo in part.photos]).encode()) for part in unfinished.parts()
    )
    everywhere = replace(_absolute(request), pictures=unfinished.count)
    for number, result in spread(partial(open_predictor, everywhere, goal), items, on, reporter):
        found = json.loads(result)
        for path in found["missing"]:
            if Path(path).exists():
                raise ClusterError(
                    f"{found['host']} does not have the photo {path}, which is on this machine.",
                    "Put the photos on a disk that all machines of the cluster mount under the same path.",
                )
        yield number, found["lines"]


def open_predictor(request: PredictRequest, goal: Goal, threads: int) -> Callable[[bytes], bytes]:
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
    folder = Path(goal.folder)

    def predict(item: bytes) -> bytes:
        photos = [Photo(*values) for values in json.loads(item)]
        pictures = [(photo.name, photo.picture(folder)) for photo in photos]
        lines = [as_line(name, answer, goal.model) for name, answer in answering.ask(pictures, goal.top)]
        paths = (folder / photo.path for photo in photos if not photo.reason)
        missing = [str(path) for path in paths if not os.path.lexists(path)]
        return json.dumps({"lines": lines, "missing": missing, "host": socket.gethostname()}).encode()

    return predict


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
