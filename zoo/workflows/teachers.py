"""Teachers of a student: finished runs on the same classes that were not trained on the student's test images."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, TrainingError, UsageError, quoted
from zoo.registry import exporters
from zoo.reporter import Reporter
from zoo.run_folder import Run, open_run
from zoo.run_folder.taught import TRAINED, TeacherInfo
from zoo.workflows.finding import find_run

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.data.source import Entry


def find_teachers(named: Sequence[Path], root: Path) -> tuple[Path, ...]:
    """Finds the run folders of the teachers.

    Args:
        named: Runs, each by its folder, by its name in ``root``, or as the newest run of an architecture.
        root: Folder of runs.

    Raises:
        UsageError: A teacher is not a finished run, or is named twice.
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
        f"A teacher must be a run. '{name}' is {'a bundle' if bundle else 'a model file'}, which does not record its"
        " training images.",
        "Give the run it was exported from" + (f": --teacher {shlex.quote(str(source))}" if source else "."),
    )


def model_digest(folder: Path) -> str:
    """SHA-256 of the model of a run."""
    with (folder / "model.keras").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def described(run: Run, data: ImageData, uncompared: int) -> TeacherInfo:
    """The entry on a teacher in ``run.json`` of a student that is trained on ``data``."""
    from zoo.data import VAL

    validation = {data.contents[index] for index in data.indices(VAL).tolist()}
    return TeacherInfo(
        run=str(run.path),
        architecture=run.architecture,
        digest=model_digest(run.path),
        accuracy=run.metrics.accuracy,
        n=run.metrics.n,
        uncompared=uncompared,
        validation=len(validation & _trained_on(run)),
    )


def _trained_on(run: Run) -> frozenset[str]:
    """SHA-256 of the photos that a run was trained on, including validation images that its model did not need."""
    refitted = run.info.head is not None and run.info.best_epoch == 0  # no epoch was better than the chosen head
    splits = ("train", "val") if refitted else ("train",)
    rows = run.split()
    further = run.learned_from() - {row["sha256"] for row in rows}  # without labels, or through its own teachers
    return further | {row["sha256"] for row in rows if row["split"] in splits}


def refuse_other_labels(run: Run, labels: Sequence[str]) -> None:
    if set(run.labels) == set(labels):
        return
    lacks, more = sorted(set(labels) - set(run.labels)), sorted(set(run.labels) - set(labels))
    differences = [f"{what} {quoted(names, most=3)}" for what, names in (("lacks", lacks), ("also has", more)) if names]
    raise UsageError(
        f"The teacher {run.path} was trained on other classes than those of the data: it {' and '.join(differences)}.",
        "Train a teacher on data with the same classes. Their order does not matter.",
    )


def refuse_seen(run: Run, data: ImageData, reporter: Reporter) -> int:
    """Refuses a teacher that was trained on test images of the student, or on near-duplicates of them.

    Near-duplicates among the student's own images are not counted. The run reports them with or without teachers.

    Returns:
        The number of the teacher's training photos that could not be fully compared with the test images. A warning
        has given the reason.

    Raises:
        DataError: The teacher was trained on such images.
    """
    from zoo.data import TEST

    learned = run.learned_from()
    same = [data.names[index] for index in data.indices(TEST).tolist() if data.contents[index] in learned]
    if same:
        raise _seen(run, same, "")
    others = learned - set(data.contents)
    if not others:
        return 0
    photos = _present(run, others, data, reporter)
    missing = len(others - set(photos.contents))
    if missing:
        reporter.warning(
            f"The teacher {run.name} was trained on {len(others)} photos that are not in this data, and {missing} of "
            "them are missing or have changed. They could not be compared with the test images, so the test accuracy "
            "may be too high."
        )
    if not photos.names:
        return missing
    near, unsearched = _shown_by(photos, data, reporter)
    if near:
        raise _seen(run, near, "near-duplicates of ")
    if unsearched:
        reporter.warning(f"Training photos of the teacher {run.name}: {unsearched}")
        return len(others)
    return missing


def _seen(run: Run, names: Sequence[str], what: str) -> DataError:
    return DataError(
        f"The teacher {run.path} was trained on {what}{len(names)} test image(s) of this data:"
        f" {quoted(names, most=3)}. The student's accuracy on them would be too high.",
        "Train the teacher with the same --data and --split-seed as the student, or choose another teacher.",
    )


def _present(run: Run, wanted: Collection[str], data: ImageData, reporter: Reporter) -> ImageData:
    """The training photos of a teacher that have one of the wanted contents and still exist at their path."""
    from zoo.data.loose import load_unchanged

    places = ((sha256, entry) for sha256, entry in _places(run, set()) if sha256 in wanted)
    return load_unchanged(places, data.spec, data.labels, reporter.counter("decoding the teacher's photos"))


def _places(run: Run, visited: set[Path]) -> Iterator[tuple[str, Entry]]:
    """SHA-256 and path of the photos that a run was trained on: its own, those without labels, and its teachers'."""
    from zoo.data.source import UNLABELLED, Entry

    visited.add(run.path.absolute())
    root = Path(run.info.data.root)
    for row in run.split():
        if row["split"] != "test":
            path = str(root / row["path"])
            yield row["sha256"], Entry(path, path, row["label"], row["split"])
    taught = run.info.taught
    if taught is None:
        return
    if taught.unlabelled:
        for row in run.unlabelled():
            if row["use"] == TRAINED:
                path = str(Path(taught.unlabelled.source) / row["path"])
                yield row["sha256"], Entry(path, path, "", UNLABELLED)
    for teacher in taught.teachers:
        if Path(teacher.run).absolute() in visited:
            continue
        try:
            known = list(_places(open_run(Path(teacher.run)), visited))
        except (UsageError, TrainingError):  # the file is missing, but seen.csv of the student contains its SHA-256
            continue
        yield from known


def _shown_by(photos: ImageData, data: ImageData, reporter: Reporter) -> tuple[list[str], str | None]:
    """Test images of the student that have a near-duplicate among the photos, and what was not compared."""
    import numpy as np

    from zoo.audit.leakage import find_copies
    from zoo.data import TEST

    tests = data.at(data.indices(TEST))
    both = tests.and_then(photos)
    places = np.arange(len(both.names)).tolist()
    counter = reporter.counter("looking for near-duplicates of test images")
    found = find_copies(both, places[: len(tests.names)], places[len(tests.names) :], counter)
    return [leak.name for leak in found.leaks], found.unsearched
