"""The calibration images of an export: training images of the run, photos of a folder, or half of the given images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, UsageError
from zoo.reporter import Reporter

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.evaluation.trained import TrainedModel
    from zoo.exporting.calibration import Calibration

#: With fewer photos, and without training images, the measured ranges of tensors are unreliable.
_FEW = 40


def calibrate_on(
    trained: TrainedModel, folder: Path | None, images: ImageData | None, split: str, count: int, reporter: Reporter
) -> tuple[ImageData | None, Calibration]:
    """Returns the images to verify on and the images to calibrate on, which have none in common. If there is neither a
    run nor a folder, a part of ``images`` is used for calibration, and the others for verification.

    Args:
        trained: The model. int8 is calibrated on the training images of its run, if it has one.
        folder: A folder of photos without labels, which are also used for calibration.
        images: The images to verify on. ``None`` if there are none.
        split: The split of the images to verify on.
        count: Maximum number of calibration images.
        reporter: Receives progress and notes.

    Raises:
        UsageError: There are no images to calibrate on.
        DataError: No photo of the folder can be used, or all images to verify on would also calibrate.
    """
    from zoo.data import TRAIN
    from zoo.evaluation.recorded import recorded_images
    from zoo.exporting.calibration import choose, halve, leave_out, together

    if trained.run is not None:
        training = recorded_images(trained.run, TRAIN, reporter.counter("decoding"), partly=True)
        lost = sum(trained.run.info.data.counts[TRAIN].values()) - len(training.names)
        if lost:
            reporter.note(f"{lost} training image(s) are missing or have changed: int8 is calibrated on the others.")
        calibration = choose(training, trained.run.seed, count)
        if folder is not None:
            known = dict(zip(training.contents, training.names, strict=True))
            found = _photos(trained, folder, images, split, known, count, reporter)
            calibration = together(calibration, found, count)
        return _apart(images, split, calibration, reporter), calibration
    if folder is not None:
        calibration = _photos(trained, folder, images, split, {}, count, reporter)
        _warn_of_few(calibration, reporter)
        return images, calibration
    if images is None:
        raise UsageError(
            "int8 needs photos to measure the range of every tensor, and a model without a run has none.",
            "Give a folder of class folders with --data, or photos without labels with --calibration.",
        )
    images = halve(images)
    calibration = choose(images, 0, count)
    images = leave_out(images, calibration)
    verified = len(images.indices(split))
    reporter.note(f"Calibrating on {len(calibration.rows)} of these images, verifying on {verified} others.")
    _warn_of_few(calibration, reporter)
    return images, calibration


def _warn_of_few(calibration: Calibration, reporter: Reporter) -> None:
    if len(calibration.rows) < _FEW:
        reporter.warning(
            f"int8 is calibrated on {len(calibration.rows)} photo(s) only. The ranges of tensors are then unreliable; "
            "200 photos are sufficient."
        )


def _apart(images: ImageData | None, split: str, calibration: Calibration, reporter: Reporter) -> ImageData | None:
    """The images to verify on without those that calibrate, which ``--data`` may contain."""
    from zoo.exporting.calibration import keep_apart

    if images is None:
        return None
    kept = keep_apart(images, split, {sha256 for *_, sha256 in calibration.rows})
    given, left = len(images.indices(split)), len(kept.indices(split))
    if left < given:
        reporter.note(f"{given - left} of {given} images calibrate int8. All files are verified on the {left} others.")
    return kept


def _photos(
    trained: TrainedModel,
    folder: Path,
    images: ImageData | None,
    split: str,
    known: dict[str, str],
    count: int,
    reporter: Reporter,
) -> Calibration:
    from zoo.exporting.calibration import choose_unlabelled
    from zoo.parity import verification_images
    from zoo.workflows.unlabelled import KNOWN, NEAR, REPEATED, sort_unlabelled

    if images is None and trained.run is not None:  # a later verification may use the images of the run
        images, split = verification_images(trained, None, reporter.counter("decoding"))
    judged = None if images is None else images.at(images.indices(split))
    found = sort_unlabelled(folder, trained.image, judged, known, "the images for verification", reporter)
    calibration, blank = choose_unlabelled(found.used, trained.run.seed if trained.run else 0, count)
    left = {
        "near-duplicates of images for verification": found.kinds.count(NEAR),
        "training images": found.kinds.count(KNOWN),
        "repeated files": found.kinds.count(REPEATED),
        "photos of a single colour": blank,
        "unusable files": len(found.photos.skipped),
    }
    said = "; ".join(f"{what}: {count}" for what, count in left.items() if count)
    if not calibration.rows:
        raise DataError(
            f"No photo in '{folder}' can be used for calibration. Left out: {said}.",
            "Give other photos, similar to those that the device will see.",
        )
    left_out = f" Left out: {said}." if said else ""
    reporter.note(f"{folder}: {len(calibration.rows)} photo(s) calibrate int8.{left_out}")
    if found.unsearched:
        reporter.warning(f"{folder}: {found.unsearched}")
    return calibration
