"""What the user is told of the images that are about to judge a model."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.atomic import read_csv
from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.evaluation.trained import TrainedModel
    from zoo.reporter import Reporter


def tell_overlap(
    trained: TrainedModel, images: ImageData, split: str, reporter: Reporter, calibrating: Collection[str] = ()
) -> None:
    """Says when images of a split trained or chose the model, or calibrated an exported file of it.

    Args:
        trained: The model.
        images: What it is asked about.
        split: Which of them.
        reporter: Told.
        calibrating: SHA-256 of the images that calibrated the file.
    """
    contents = [images.contents[index] for index in images.indices(split)]
    if trained.run is not None:
        used = trained.run.learned_from()
        if seen := sum(content in used for content in contents):
            reporter.note(
                f"{seen} of {len(contents)} images trained or chose this model: it looks better here than on others."
            )
    if seen := sum(content in calibrating for content in contents):
        reporter.note(f"{seen} of {len(contents)} images calibrated this file: an 8-bit file is judged on the others.")


def calibrating_images(file: Path) -> set[str] | None:
    """SHA-256 of the images that ``calibration.csv`` beside a file lists; ``None`` where there is no list.

    Raises:
        DataError: The list is damaged.
    """
    listed = file.parent / "calibration.csv"
    try:
        return {row["sha256"] for row in read_csv(listed)} if listed.is_file() else None
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(
            f"{listed} is not a list of calibration images: it needs the column sha256.", "Export the file again."
        ) from error


def tell_files(images: ImageData, reporter: Reporter) -> None:
    """Says which files could not be used, which are used although something is odd, and what the cache had damaged."""
    for note in images.file_notes:
        reporter.note(note)
    if images.skipped:
        first = images.skipped[0]
        reporter.note(f"{len(images.skipped)} file(s) not used; such as {first.name}: {first.reason}")
