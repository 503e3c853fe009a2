"""Records the test images of a training run that have a near-duplicate in another split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.atomic import write_csv
from zoo.figures import percent
from zoo.reporter import Reporter
from zoo.run_folder import Run
from zoo.run_folder.info import Leaks

if TYPE_CHECKING:
    from zoo.audit.leakage import Leak
    from zoo.data import ImageData


def find_and_record(run: Run, data: ImageData, reporter: Reporter) -> list[Leak]:
    """Searches for near-duplicates of test images. Reports and records their number, and what was not compared."""
    from zoo.audit.leakage import find_leaks

    found = find_leaks(data, reporter.counter("looking for near-duplicates of test images"))
    leaks = found.leaks
    if leaks:
        tests = sum(data.counts["test"].values())
        note = (
            f"{len(leaks)} of {tests} test images ({percent(len(leaks) / tests, 0)}) have a near-duplicate in train or"
            f" val, for example {leaks[0].name} and {leaks[0].near_duplicate}. The test accuracy will be too high."
        )
        reporter.warning(f"{note} `zoo data check` shows them. `zoo data split` keeps near-duplicates in one split.")
        _record(run, note)
        rows = [(leak.name, leak.near_duplicate, leak.split, leak.similarity) for leak in leaks]
        write_csv(run.path / "leaks.csv", ("test", "near_duplicate", "split", "similarity"), rows)
    if found.unsearched and Path(data.source).exists():  # the user cannot fix a named dataset
        reporter.note(found.unsearched)
        _record(run, found.unsearched)
    return leaks


def _record(run: Run, note: str) -> None:
    """Stores the note with the notes on the data, which the report shows."""
    data = run.info.data
    if note not in data.notes:  # a resumed run already has the file
        run.update(data=replace(data, notes=(*data.notes, note)))


def measure_without(run: Run, leaks: list[Leak]) -> None:
    """Records the accuracy on the test images that have no near-duplicate."""
    if not leaks:
        return
    from zoo.audit.leakage import accuracy_without
    from zoo.evaluation.predictions import Predictions

    found = accuracy_without(Predictions.read_csv(run.path / "predictions.csv"), leaks)
    accuracy, count = found if found else (None, 0)
    run.update(leaks=Leaks(test_images=len(leaks), of=run.metrics.n, accuracy_without=accuracy, n=count))
