"""What a training records of test images that have a near-duplicate in another split."""

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
    """Looks for them; says and records how many there are, and what was not looked for."""
    from zoo.audit.leakage import find_leaks

    found = find_leaks(data, reporter.counter("looking for near-duplicates of test images"))
    leaks = found.leaks
    if leaks:
        tests = sum(data.counts["test"].values())
        note = (
            f"{len(leaks)} of {tests} test images ({percent(len(leaks) / tests, 0)}) have a near-duplicate in train or"
            f" val, such as {leaks[0].name} and {leaks[0].twin}: the accuracy will be too good."
        )
        reporter.warning(f"{note} `zoo data check` shows them, `zoo data split` keeps near-duplicates on one side.")
        _record(run, note)
        rows = [(leak.name, leak.twin, leak.split, leak.sameness) for leak in leaks]
        write_csv(run.path / "leaks.csv", ("test", "twin", "split", "sameness"), rows)
    if found.unsearched and Path(data.source).exists():  # a named set is not the user's to mend
        reporter.note(found.unsearched)
        _record(run, found.unsearched)
    return leaks


def _record(run: Run, note: str) -> None:
    """Among the notes on the data, where the report shows it."""
    data = run.info.data
    if note not in data.notes:  # a resumed run has it
        run.update(data=replace(data, notes=(*data.notes, note)))


def measure_without(run: Run, leaks: list[Leak]) -> None:
    """Records what the accuracy is on the test images that have no near-duplicate."""
    if not leaks:
        return
    from zoo.audit.leakage import accuracy_without
    from zoo.evaluation.predictions import Predictions

    found = accuracy_without(Predictions.read_csv(run.path / "predictions.csv"), leaks)
    accuracy, count = found if found else (None, 0)
    run.update(leaks=Leaks(test_images=len(leaks), of=run.metrics.n, accuracy_without=accuracy, n=count))
