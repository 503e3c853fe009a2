"""The images on which exported files are verified."""

from __future__ import annotations

from collections.abc import Callable

from zoo.data import TEST, VAL, ImageData, load_for_evaluation
from zoo.errors import UsageError
from zoo.evaluation.recorded import recorded_images
from zoo.evaluation.trained import TrainedModel


def verification_images(
    reference: TrainedModel, source: str | None = None, progress: Callable[[int, int], None] | None = None
) -> tuple[ImageData, str]:
    """Images from ``source``, or the test split of the run, or else its validation split, and the name of the split.

    Args:
        reference: The model from which the files were exported.
        source: A folder, a CSV file, or the name of a dataset. ``None``: the images recorded by the run.
        progress: Called with files done and files to do, while files are decoded.

    Raises:
        UsageError: The model is not from a run and no source is given, or the source does not exist.
        DataError: A class is unknown to the model, or recorded images have changed.
    """
    if source is not None:
        labels, aliases = reference.labels, reference.aliases
        return load_for_evaluation(source, reference.image, labels, aliases=aliases, progress=progress), TEST
    run = reference.run
    if run is None:
        raise UsageError(f"There are no images to verify {reference.name} on.", "Give them with --data.")
    rows = run.split()
    split = next((name for name in (TEST, VAL) if any(row["split"] == name for row in rows)), None)
    if split is None:
        raise UsageError(f"The run {run.path} has neither test nor validation images.", "Give others with --data.")
    return recorded_images(run, split, progress), split
