"""What a training run says of test images that have a twin in another split."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.atomic import write_csv
from zoo.figures import percent, points
from zoo.run_folder import Run

if TYPE_CHECKING:
    from zoo.audit.leakage import Leak
    from zoo.data import ImageData
    from zoo.reporter import Reporter


def warn_of_leaks(run: Run, data: ImageData, reporter: Reporter) -> list[Leak]:
    """Looks for them; says and records how many there are, and what was not looked for."""
    from zoo.audit.leakage import find_leaks

    found = find_leaks(data, reporter.counter("looking for twins of test images"))
    leaks = found.leaks
    if leaks:
        tests = sum(data.counts["test"].values())
        note = (
            f"{len(leaks)} of {tests} test images ({percent(len(leaks) / tests, 0)}) have a twin in train or val, such"
            f" as {leaks[0].name} and {leaks[0].twin}: the accuracy will be too good."
        )
        reporter.note(f"WARNING: {note} `zoo data check` shows them, `zoo data split` keeps twins on one side.")
        _record(run, note)
        rows = [(leak.name, leak.twin, leak.split, leak.sameness) for leak in leaks]
        write_csv(run.path / "leaks.csv", ("test", "twin", "split", "sameness"), rows)
    if found.unsearched and Path(data.source).exists():  # a named set is not the user's to mend
        reporter.note(found.unsearched)
        _record(run, found.unsearched)
    return leaks


def _record(run: Run, note: str) -> None:
    """Among the notes on the data, where the report shows it."""
    if note not in run.info["data"]["notes"]:  # a resumed run has it
        run.info["data"]["notes"].append(note)
        run.save_info()


def tell_without_leaks(run: Run, metrics: dict[str, Any], leaks: list[Leak]) -> None:
    """Says and records what the accuracy is on the test images that have no twin."""
    if not leaks:
        return
    from zoo.audit.leakage import accuracy_without
    from zoo.evaluation.predictions import Predictions

    found = accuracy_without(Predictions.read_csv(run.path / "predictions.csv"), leaks)
    accuracy, count = found if found else (None, 0)
    run.info["leaks"] = {"test_images": len(leaks), "of": metrics["n"], "accuracy_without": accuracy, "n": count}
    run.save_info()
    if accuracy is None:
        click.echo("Every test image has a twin in train or val: nothing is known of other images.")
    else:
        change = points(accuracy - metrics["accuracy"])
        click.echo(
            f"Without the {len(leaks)} test images that have a twin in train or val: {percent(accuracy)} on {count}"
            f" images ({change} points)."
        )
