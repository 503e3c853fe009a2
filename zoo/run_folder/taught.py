"""Who taught a run, and with which photos without labels, as ``run.json`` has it."""

from __future__ import annotations

from dataclasses import dataclass

#: The use of a photo that trains, in ``unlabelled.csv``.
TRAINED = "trained"


@dataclass(frozen=True, kw_only=True)
class TeacherInfo:
    """A run that taught another one.

    Args:
        run: Its folder, an absolute path.
        architecture: Of it.
        digest: SHA-256 of its ``model.keras``.
        accuracy: Share of its own test images that it is right about.
        n: Number of those.
        uncompared: Number of photos that it learned from and that could not be compared in full with the test images
            of the student, so that near-duplicates may be among them.
        validation: Number of validation images of the student that it was trained on.
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
    """Photos without labels that trained a run; ``unlabelled.csv`` names all of the folder.

    Args:
        source: The folder, an absolute path.
        used: Number of photos that train.
        near_duplicates: Number left out, as they are test or validation images or near-duplicates of these.
        labelled: Number left out, as they are training images: those train with their labels.
        repeated: Number left out, as the folder holds the same file twice.
        skipped: Number of files that are no usable image.
        unsearched: What was not looked for, and why; empty where everything was.
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
                ("training images, which train with their labels", self.labelled),
                ("the same file again", self.repeated),
                ("no usable image", self.skipped),
            )
            if count
        ]
        said = f"{self.used} photo(s) without labels are used in training."
        return f"{said} Left out are {'; '.join(left)}." if left else said


@dataclass(frozen=True, kw_only=True)
class TaughtInfo:
    """How a run was taught.

    Args:
        teachers: Their mean probabilities were the targets.
        unlabelled: Photos without labels, where there were any.
    """

    teachers: tuple[TeacherInfo, ...]
    unlabelled: UnlabelledInfo | None = None
