"""The records of teachers and photos without labels in ``run.json``."""

from __future__ import annotations

from dataclasses import dataclass

#: The value of ``use`` in ``unlabelled.csv`` for a photo that was used for training.
TRAINED = "trained"


@dataclass(frozen=True, kw_only=True)
class TeacherInfo:
    """A teacher of a run.

    Args:
        run: Its folder, an absolute path.
        architecture: Its architecture.
        digest: SHA-256 of its ``model.keras``.
        accuracy: Accuracy on its own test images, 0 to 1.
        n: Number of its test images.
        uncompared: Number of its training photos that could not be fully compared with the test images of the student,
            so that there may be near-duplicates among them.
        validation: Number of the student's validation images on which the teacher was trained.
    """

    run: str
    architecture: str
    digest: str
    accuracy: float
    n: int
    uncompared: int = 0
    validation: int = 0


@dataclass(frozen=True, kw_only=True)
class UnlabelledInfo:
    """Photos without labels on which a run was trained. ``unlabelled.csv`` lists all photos of the folder.

    Args:
        source: The folder, an absolute path.
        used: Number of photos used for training.
        near_duplicates: Number of photos left out because they are test or validation images or near-duplicates of
            them.
        labelled: Number of photos left out because they are training images, which are used with their labels.
        repeated: Number of photos left out because the folder contains the same file twice.
        skipped: Number of files that are not usable images.
        unsearched: What was not compared, and why. Empty if everything was compared.
    """

    source: str
    used: int
    near_duplicates: int = 0
    labelled: int = 0
    repeated: int = 0
    skipped: int = 0
    unsearched: str = ""

    def __str__(self) -> str:
        left = [
            f"{what}: {count}"
            for what, count in (
                ("near-duplicates of test or validation images", self.near_duplicates),
                ("training images, which are used with their labels", self.labelled),
                ("repeated files", self.repeated),
                ("unusable files", self.skipped),
            )
            if count
        ]
        said = f"{self.used} photo(s) without labels are used in training."
        return f"{said} Left out: {'; '.join(left)}." if left else said


@dataclass(frozen=True, kw_only=True)
class TaughtInfo:
    """Teachers and photos without labels of a run.

    Args:
        teachers: The teachers, whose mean probabilities were the targets.
        unlabelled: Photos without labels, if there were any.
    """

    teachers: tuple[TeacherInfo, ...]
    unlabelled: UnlabelledInfo | None = None
