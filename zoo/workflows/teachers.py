"""Teachers of a training: finished runs that know the classes of the student, and not its test images."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, UsageError
from zoo.registry import exporters
from zoo.reporter import Reporter
from zoo.run_folder import Run
from zoo.run_folder.taught import TeacherInfo
from zoo.workflows.finding import find_run

if TYPE_CHECKING:
    from zoo.data import ImageData


def find_teachers(named: Sequence[Path], root: Path) -> tuple[Path, ...]:
    """Folders of the runs that are to teach.

    Args:
        named: Each a run by its folder, by its name below ``root``, or the newest of an architecture.
        root: Folder of runs.

    Raises:
        UsageError: One of them is no finished run, or is named twice.
    """
    found: list[Path] = []
    for name in named:
        _refuse_exported(name)
        path = name.parent if name.suffix == ".keras" and (name.parent / "run.json").is_file() else name
        run = find_run(str(path), root)
        if not run.model_path.is_file():
            raise UsageError(f"The teacher {run.path} has no model.keras.", "Give another run, or train it again.")
        folder = run.path.absolute()
        if any(folder.samefile(other) for other in found):
            raise UsageError(f"The teacher {run.path} is named twice.", "Name each teacher once.")
        found.append(folder)
    return tuple(found)


def _refuse_exported(name: Path) -> None:
    suffixes = (".keras", ".zip", *(offer.record.suffix.lower() for offer in exporters()))
    is_run = name.suffix == ".keras" and (name.parent / "run.json").is_file()
    bundle = name.is_dir() and (name / "spec.json").is_file()
    if is_run or not (bundle or (name.is_file() and name.name.lower().endswith(suffixes))):
        return
    source = next((folder for folder in name.absolute().parents if (folder / "run.json").is_file()), None)
    raise UsageError(
        f"A teacher is a run, and '{name}' is {'a bundle' if bundle else 'a model file'}, which does not say what"
        " trained it.",
        "Give the run it was exported from" + (f": --teacher {shlex.quote(str(source))}" if source else "."),
    )


def model_digest(folder: Path) -> str:
    """SHA-256 of the model of a run."""
    with (folder / "model.keras").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def described(run: Run) -> TeacherInfo:
    return TeacherInfo(
        run=str(run.path),
        architecture=run.architecture,
        digest=model_digest(run.path),
        accuracy=run.metrics.accuracy,
        n=run.metrics.n,
    )


def refuse_other_labels(run: Run, labels: Sequence[str]) -> None:
    if set(run.labels) == set(labels):
        return
    lacks, more = sorted(set(labels) - set(run.labels)), sorted(set(run.labels) - set(labels))
    differences = [f"{what} {_some(names)}" for what, names in (("lacks", lacks), ("has besides", more)) if names]
    raise UsageError(
        f"The teacher {run.path} knows other classes than the data: it {' and '.join(differences)}.",
        "Train a teacher on data of the same classes; their order does not matter.",
    )


def refuse_seen(run: Run, data: ImageData, reporter: Reporter) -> None:
    """Raises ``DataError`` where a teacher learned from test images of the student, or from near-duplicates of some.

    Near-duplicates among the student's own images do not count: the run tells of those, with or without teachers.
    """
    from zoo.data import TEST

    learned = run.learned_from()
    tests = data.indices(TEST).tolist()
    same = [data.names[index] for index in tests if data.contents[index] in learned]
    if same:
        raise _seen(run, same, "")
    others = [row for row in run.split() if row["split"] != TEST and row["sha256"] not in set(data.contents)]
    if not others:
        return
    near = _shown_by(run, others, data, reporter)
    if near:
        raise _seen(run, near, "near-duplicates of ")


def _seen(run: Run, names: Sequence[str], what: str) -> DataError:
    return DataError(
        f"The teacher {run.path} learned from {what}{len(names)} test image(s) of this data: {_some(names)}. The"
        " student's accuracy on them would be too good.",
        "Train the teacher with the same --data and --split-seed as the student, or take another teacher.",
    )


def _shown_by(run: Run, rows: list[dict[str, str]], data: ImageData, reporter: Reporter) -> list[str]:
    """Test images of the student that have a near-duplicate among photos of the teacher."""
    import numpy as np

    from zoo.audit.leakage import find_copies
    from zoo.data import TEST, load_recorded

    tests = data.at(data.indices(TEST))
    try:
        root = Path(run.info.data.root)
        learned = load_recorded(rows, run.info.data.source, root, data.spec, data.labels, partly=True)
    except DataError as error:
        reporter.note(
            f"Near-duplicates of test images were not looked for among the photos of the teacher {run.name}:"
            f" {error.message}"
        )
        return []
    both = tests.and_then(learned)
    places = np.arange(len(both.names)).tolist()
    counter = reporter.counter("looking for near-duplicates of test images")
    found = find_copies(both, places[: len(tests.names)], places[len(tests.names) :], counter)
    if found.unsearched:
        reporter.note(f"Photos of the teacher {run.name}: {found.unsearched}")
    return [leak.name for leak in found.leaks]


def _some(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
