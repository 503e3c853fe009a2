"""Notes on the images that are used to evaluate a model, and on the pixel range that the model expects."""

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
    """Adds a note if images of a split were used to train, choose or calibrate the model.

    Args:
        trained: The model.
        images: The images to predict.
        split: The split that is used.
        reporter: Receives the notes.
        calibrating: SHA-256 of the images that calibrated the file.
    """
    contents = [images.contents[index] for index in images.indices(split)]
    if trained.run is not None:
        used = trained.run.learned_from()
        if seen := sum(content in used for content in contents):
            reporter.note(
                f"{seen} of {len(contents)} images were used to train or choose this model. Its accuracy on new"
                " images is lower."
            )
    if seen := sum(content in calibrating for content in contents):
        reporter.note(
            f"{seen} of {len(contents)} images were used to calibrate this file. An 8-bit file is verified on the"
            " others."
        )


def calibrating_images(file: Path) -> set[str] | None:
    """SHA-256 of the images listed in ``calibration.csv`` next to a file. ``None`` if there is no list.

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
    """Reports files that could not be used, files that are used despite a problem, and damaged cache entries."""
    for note in images.file_notes:
        reporter.note(note)
    if images.skipped:
        first = images.skipped[0]
        reporter.note(f"{len(images.skipped)} file(s) cannot be used, for example {first.name}: {first.reason}")


def tell_pixels(model: TrainedModel, data: ImageData, split: str, pixels: str | None, reporter: Reporter) -> None:
    """Adds a note if a model predicts at chance level for raw pixels and significantly better for another pixel range.

    Args:
        model: The model. Only the model of a ``.keras`` file without a run is checked.
        data: Labelled photos.
        split: The split that is used.
        pixels: The pixel range that the user gave. If it is given, nothing is checked.
        reporter: Receives the note.
    """
    from zoo.foreign.pixels import PIXELS, fitting_pixels

    if pixels is not None or not model.lone:
        return
    reporter.stage("Checking which pixel range the model expects")
    found = fitting_pixels(model.load(), data, split)
    if found is not None:
        reporter.note(
            f"{model.name} predicts at chance level for raw pixels, 0..255. Your model seems to expect {found}: "
            f"{PIXELS[found]}. Give --pixels {found}, or add such a layer as its first layer and save it again."
        )
