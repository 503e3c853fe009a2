"""What a student learns from in addition to its own data: predictions of teachers, and photos without labels."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.atomic import write_csv
from zoo.errors import TrainingError
from zoo.reporter import Reporter
from zoo.run_folder import Run, open_run
from zoo.run_folder.taught import TRAINED, TaughtInfo, UnlabelledInfo
from zoo.workflows.teachers import described, refuse_other_labels, refuse_seen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.data import ImageData
    from zoo.training.lesson import Lesson, Teacher


@dataclass(frozen=True)
class Teaching:
    """Everything that a student learns from in addition to its own labelled images.

    Args:
        info: The entry in ``run.json``.
        teachers: The runs of the teachers.
        images: The student's data, followed by the photos without labels.
        rows: Rows of ``unlabelled.csv``. ``None`` if no such photos were given.
        seen: SHA-256 of the photos outside the student's own data from which it learns, through a teacher or without
            labels.
    """

    info: TaughtInfo
    teachers: tuple[Run, ...]
    images: ImageData
    rows: tuple[tuple[str, str, str], ...] | None
    seen: tuple[str, ...]

    def record(self, run: Run) -> None:
        """Writes teachers and photos without labels into the run folder."""
        if self.rows is not None:
            write_csv(run.path / "unlabelled.csv", ("path", "sha256", "use"), self.rows)
        if self.seen:
            write_csv(run.path / "seen.csv", ("sha256",), [(sha256,) for sha256 in self.seen])

    def refuse_other(self, run: Run) -> None:
        """Refuses to resume a run with other teachers or photos than it was started with.

        Raises:
            TrainingError: A model or a photo has changed; the message names it.
        """
        was = run.info.taught
        assert was is not None
        for before, now in zip(was.teachers, self.info.teachers, strict=True):
            if before.digest != now.digest:
                raise TrainingError(
                    f"The teacher {now.run} has changed since {run.path} was started: its model.keras is different.",
                    "Restore it, or start a new run.",
                )
        if self.rows is None:
            return
        rows = {row["path"]: row["sha256"] for row in run.unlabelled() if row["use"] == TRAINED}
        now_used = {path: sha256 for path, sha256, use in self.rows if use == TRAINED}
        changed = sorted(path for path in rows.keys() | now_used.keys() if rows.get(path) != now_used.get(path))
        if changed:
            assert was.unlabelled is not None
            raise TrainingError(
                f"The photos without labels of {run.path} have changed: {len(changed)} are new, missing or"
                f" different, for example {changed[0]!r}.",
                f"Restore {was.unlabelled.source}, or start a new run.",
            )

    def lesson(self, run: Run, reporter: Reporter) -> Lesson:
        """The teachers' predictions for the training images, cached like features."""
        from zoo.data.cache import damage_note
        from zoo.training.lesson import compute_lesson

        share, views = run.recipe.teacher_share, run.recipe.teacher_views
        assert share is not None
        assert views is not None
        start = time.perf_counter()
        found = compute_lesson(
            self._models(reporter), self.images, run.recipe, share, views, reporter.counter("predictions of teachers")
        )
        run.add_seconds("teachers_s", time.perf_counter() - start)
        if found.damaged:
            reporter.note(damage_note(found.damaged, "predictions of teachers"))
        return found

    def _models(self, reporter: Reporter) -> Iterator[Teacher]:
        from zoo.evaluation.trained import of_run
        from zoo.training.lesson import Teacher

        training = self.images.at(self.images.training)
        for run in self.teachers:
            reporter.stage(f"Predicting {len(training.names)} images with the teacher {run.name}")
            images = training.seen_as(run.image_spec, reporter.counter("decoding"))
            yield Teacher(of_run(run).load, images, outputs_of(run.labels, training.labels))


def outputs_of(teacher: Sequence[str], student: Sequence[str]) -> NDArray[np.int64]:
    """The index of the teacher's output for each label of the student."""
    import numpy as np

    return np.array([teacher.index(label) for label in student], np.int64)


def prepare_teaching(
    teachers: Sequence[Path], unlabelled: Path | None, data: ImageData, reporter: Reporter
) -> Teaching | None:
    """Opens the teachers, checks that they match the student's data, and reads the photos without labels.

    Args:
        teachers: Folders of finished runs. Empty: no teachers.
        unlabelled: A folder of photos without labels.
        data: The student's data.
        reporter: Receives notes on what is used and what is left out.

    Raises:
        UsageError: A teacher has other labels, or the folder does not exist.
        DataError: A teacher was trained on test images, or the folder contains no usable image.
    """
    if not teachers:
        return None
    from zoo.data import VAL

    runs = tuple(open_run(path) for path in teachers)
    for run in runs:
        refuse_other_labels(run, data.labels)
    infos = [described(run, data, uncompared=refuse_seen(run, data, reporter)) for run in runs]
    for run, each in zip(runs, infos, strict=True):
        if each.validation:
            reporter.note(
                f"The teacher {run.name} was trained on {each.validation} of the {len(data.indices(VAL))} validation"
                " images. They are used to choose the student's epoch and to fit its temperature, so its validation"
                " accuracy may be too high. The test accuracy is not affected."
            )
    info = TaughtInfo(teachers=tuple(infos))
    seen = {sha256 for run in runs for sha256 in run.learned_from()}
    images, rows = data, None
    if unlabelled is not None:
        images, rows, found = _with_unlabelled(data, unlabelled, reporter)
        info = replace(info, unlabelled=found)
        seen |= {sha256 for _, sha256, use in rows if use == TRAINED}
    return Teaching(info, runs, images, rows, tuple(sorted(seen - set(data.contents))))


def resumed_teaching(run: Run, data: ImageData, reporter: Reporter) -> Teaching | None:
    """Like ``prepare_teaching``, for a resumed run with the teachers and photos with which it was started.

    Raises:
        UsageError, DataError: As ``prepare_teaching``.
        TrainingError: A teacher or a photo has changed.
    """
    was = run.info.taught
    if was is None:
        return None
    teachers = [Path(teacher.run) for teacher in was.teachers]
    for path in teachers:
        if not (path / "model.keras").is_file():
            raise TrainingError(
                f"The teacher {path} of {run.path} does not exist any more.",
                "Restore it, or start a new run with other teachers.",
            )
    teaching = prepare_teaching(teachers, Path(was.unlabelled.source) if was.unlabelled else None, data, reporter)
    if teaching:
        teaching.refuse_other(run)
    return teaching


def _with_unlabelled(
    data: ImageData, folder: Path, reporter: Reporter
) -> tuple[ImageData, tuple[tuple[str, str, str], ...], UnlabelledInfo]:
    """The data followed by the photos of a folder, the use of each file in the folder, and a summary."""
    import numpy as np

    from zoo.data import TEST, TRAIN, VAL
    from zoo.workflows.unlabelled import KNOWN, NEAR, REPEATED, USED, sort_unlabelled

    judged = [*data.indices(TEST).tolist(), *data.indices(VAL).tolist()]
    trained = {data.contents[index]: data.names[index] for index in data.indices(TRAIN).tolist()}
    images = data.at(np.array(judged, np.int64))
    found = sort_unlabelled(folder, data.spec, images, trained, "test and validation images", reporter)
    photos, kinds = found.photos, found.kinds
    info = UnlabelledInfo(
        source=photos.source,
        used=kinds.count(USED),
        near_duplicates=kinds.count(NEAR),
        labelled=kinds.count(KNOWN),
        repeated=kinds.count(REPEATED),
        skipped=len(photos.skipped),
        unsearched=found.unsearched,
    )
    reporter.note(f"{folder}: {info}")
    if info.unsearched:
        reporter.warning(f"{folder}: {info.unsearched}")
    words = {
        USED: TRAINED,
        NEAR: "near-duplicate of the {}",
        KNOWN: "same as the training image {}, which is used with its label",
        REPEATED: "same content as {}",
    }
    rows = [
        (name, sha256, words[kind].format(why))
        for name, sha256, kind, why in zip(photos.names, photos.contents, kinds, found.whys, strict=True)
    ]
    rows += [(item.name, "", item.reason) for item in photos.skipped]
    return data.and_then(found.used), tuple(sorted(rows)), info
