"""Predicts any number of photos and writes a file. After an interruption, the same command continues."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.atomic import make_folder, writable, write_bytes
from zoo.errors import DataError, UsageError
from zoo.reporter import Reporter
from zoo.workflows.host import host_kept
from zoo.workflows.predict import Answering, PredictRequest, file_digest, open_model

if TYPE_CHECKING:
    from zoo.edge.sources import Picture
    from zoo.predicting.photos import Photo
    from zoo.predicting.shard import Shard
    from zoo.predicting.unfinished import Goal, Part, Unfinished


@dataclass(frozen=True, kw_only=True)
class PredictFilesRequest:
    """The photos to predict, and the file of the predictions.

    Args:
        model: The model.
        photos: Files, folders, lists of paths (``.txt``, ``.csv``, ``.parquet``), and ``-`` for standard input.
        out: The file to write: ``.csv``, ``.jsonl`` or ``.parquet``.
        top: Number of likeliest classes in a row.
        shard: The share of the photos, such as ``2/8``. ``None``: all photos.
        on: The Ray cluster that predicts: ``ray`` or ``ray://HOST:PORT``. ``None``: this process.
    """

    model: PredictRequest
    photos: tuple[str, ...]
    out: Path
    top: int = 2
    shard: str | None = None
    on: str | None = None


@dataclass(frozen=True)
class PredictionFile:
    """A file of predictions, with one row for each photo.

    Args:
        path: Path of the file.
        photos: Number of photos.
        errors: Number of photos that could not be read. Their rows have the reason in the column ``error``.
        model: SHA-256 of the model's file, as in every row.
    """

    path: Path
    photos: int
    errors: int
    model: str


def predict_files(request: PredictFilesRequest, reporter: Reporter) -> PredictionFile:
    """Predicts photos and writes a file. After an interruption, the same command continues and predicts only the
    remaining photos.

    Raises:
        UsageError: An argument is invalid, or the unfinished predictions next to the file have another goal.
        DataError: There are no photos, none can be read, or another command is writing the file.
        TrainingError: The file cannot be written.
        ClusterError: The cluster cannot be reached, or its connection is lost.
    """
    from zoo.predicting.shard import read_shard
    from zoo.predicting.table import find_writer
    from zoo.predicting.unfinished import Unfinished

    write = find_writer(request.out)
    if request.on is not None:
        from zoo.cluster.address import check_cluster

        if "-" in request.photos:
            raise UsageError("--on ray cannot read standard input.", "Give files, folders or lists of paths.")
        check_cluster(request.on)
    shard = read_shard(request.shard)
    make_folder(request.out.parent)
    unfinished = Unfinished(writable(request.out))
    with host_kept(), unfinished.held():
        _list(request, shard, unfinished, reporter)
        here = unfinished.count - unfinished.done if request.on is None else 1
        answering = open_model(replace(request.model, pictures=here), reporter)
        for note in answering.notes:
            reporter.note(note)
        top = min(request.top, len(answering.labels))
        goal = _goal(request, answering, str(shard), top, unfinished)
        unfinished.aim(goal)
        predicted = _here(answering, unfinished.parts(), goal)
        if request.on is not None and unfinished.done < unfinished.count:
            from zoo.workflows.predict_cluster import on_cluster

            predicted = on_cluster(request.model, answering.packages, goal, unfinished, request.on, reporter)
        _predict(unfinished, predicted, reporter)
        errors = 0

        def lines() -> Iterator[str]:
            nonlocal errors
            for line in unfinished.lines():
                errors += json.loads(line)["error"] is not None
                yield line

        write(unfinished.file, lines(), top, request.model.min_confidence is not None)
        unfinished.remove()
    found = PredictionFile(request.out, unfinished.count, errors, goal.model)
    if 0 < found.photos == errors:
        raise DataError(
            f"None of the {errors} photos could be read. {request.out} has the reason for each.",
            "Check the paths. Paths in a list are relative to the folder of the list.",
        )
    return found


def _list(request: PredictFilesRequest, shard: Shard, unfinished: Unfinished, reporter: Reporter) -> None:
    from zoo.predicting.photos import photos_of

    stdin = unfinished.path / "stdin"
    if "-" in request.photos:
        write_bytes(stdin, sys.stdin.buffer.read())
    if unfinished.count:
        reporter.note(f"Continuing: {unfinished.done} of {unfinished.count} photos are predicted already.")
        return
    usable, seen, counter = False, 0, reporter.counter("listing photos")

    def chosen() -> Iterator[Photo]:
        nonlocal usable, seen
        for seen, photo in enumerate(photos_of(request.photos, stdin), 1):
            usable = usable or not photo.reason
            if seen % 1000 == 0:
                counter(seen, seen)
            if shard.has(photo.name):
                yield photo

    unfinished.record(chosen())
    if not usable:
        asked = ", ".join(request.photos)
        raise DataError(f"There are no images in {asked}.", "Hidden files and folders are left out.")


def _goal(request: PredictFilesRequest, answering: Answering, shard: str, top: int, unfinished: Unfinished) -> Goal:
    from zoo.predicting.photos import digest_of_lists
    from zoo.predicting.unfinished import Goal

    spec = request.model.spec
    return Goal(
        model=answering.digest(),
        labels=answering.labels,
        photos=request.photos,
        lists=digest_of_lists(request.photos, unfinished.path / "stdin"),
        folder=str(Path.cwd()),
        shard=shard,
        top=top,
        min_confidence=request.model.min_confidence or "",
        preprocessing=f"{file_digest(spec) if isinstance(spec, Path) else spec} {request.model.pixels}",
    )


def _predict(unfinished: Unfinished, found: Iterable[tuple[int, list[str]]], reporter: Reporter) -> None:
    counter = reporter.counter("predicting")
    done = unfinished.done
    counter(done, unfinished.count)
    try:
        for number, lines in found:
            unfinished.keep(number, lines)
            done += len(lines)
            counter(done, unfinished.count)
    except (KeyboardInterrupt, SystemExit):
        reporter.note(f"Interrupted. {done} of {unfinished.count} photos are predicted. The same command continues.")
        raise
    finally:
        reporter.trained()  # removes the progress bar


def _here(answering: Answering, parts: Iterable[Part], goal: Goal) -> Iterator[tuple[int, list[str]]]:
    """Predicts parts in this process. Yields the number and the rows of each."""
    from zoo.predicting.rows import as_line

    asked: deque[Part] = deque()
    folder = Path(goal.folder)

    def pictures() -> Iterator[tuple[str, Picture]]:
        for part in parts:
            asked.append(part)
            yield from ((photo.name, photo.picture(folder)) for photo in part.photos)

    lines: list[str] = []
    for name, answer in answering.ask(pictures(), goal.top):
        lines.append(as_line(name, answer, goal.model))
        if len(lines) == len(asked[0].photos):
            yield asked.popleft().number, lines
            lines = []
