"""Loads the images of a run from their paths at the time of training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.data import VAL, ImageData, load_recorded, named_dataset
from zoo.data.named import find_source
from zoo.data.reading import Reader, read_here
from zoo.errors import DataError
from zoo.evaluation.predict import Copies, predict_split
from zoo.evaluation.predictions import Predictions
from zoo.evaluation.threshold import Choice, choose
from zoo.run_folder import Run

if TYPE_CHECKING:
    import keras

#: File in the folder of a run whose head was chosen by cross-validation. It contains predictions on the training
#: images, each by a head that was not trained on the image. The format is that of ``predictions.csv``.
CROSS_VALIDATION = "cross_validation.csv"


def recorded_images(
    run: Run,
    split: str,
    progress: Callable[[int, int], None] | None = None,
    partly: bool = False,
    reader: Reader = read_here,
) -> ImageData:
    """One split of a run: ``train``, ``val`` or ``test``.

    Args:
        run: The run.
        split: The split.
        progress: Called with files done and files to do.
        partly: Whether it is enough that some of the images are unchanged.
        reader: Reads and decodes files.

    Raises:
        DataError: Images are missing, unreadable, or have changed.
    """
    return recorded_rows(run, [row for row in run.split() if row["split"] == split], progress, partly, reader)


def recorded_rows(
    run: Run,
    rows: Sequence[Mapping[str, str]],
    progress: Callable[[int, int], None] | None = None,
    partly: bool = False,
    reader: Reader = read_here,
) -> ImageData:
    """Like ``recorded_images``, for given rows of ``split.csv``."""
    described = run.info.data
    named = named_dataset(described.source)
    root = find_source(described.source)[1] if named else Path(described.root)
    return load_recorded(
        rows, described.source, root, run.image_spec, run.labels, partly=partly, progress=progress, reader=reader
    )


def choice_of(
    run: Run,
    model: keras.Model,
    data: ImageData | None = None,
    progress: Callable[[int, int], None] | None = None,
    copies: Copies | None = None,
) -> Choice | None:
    """Chooses thresholds on images that were not used to train a run's model. ``None`` without such images.

    Args:
        run: The run. Without validation images, its predictions in cross-validation are used, if there are any.
        model: Its model.
        data: The run's data. ``None``: the images of the run that still exist are used.
        progress: Called with files done and files to do, while images are decoded.
        copies: Copies of the model that read and predict the images on other machines.
    """
    folds = run.path / CROSS_VALIDATION
    if not (run.info.head and run.info.best_epoch == 0):  # the validation images were used to train the head
        images = data or validation_images(run, progress, copies.cluster.read if copies else read_here)
        if images is not None and images.indices(VAL).size:
            return choose(predict_split(model, images, VAL, copies=copies))
    return choose(Predictions.read_csv(folds), "folds") if folds.is_file() else None


def validation_images(
    run: Run, progress: Callable[[int, int], None] | None = None, reader: Reader = read_here
) -> ImageData | None:
    """The unchanged validation images of a run. ``None`` if there are none."""
    rows = [row for row in run.split() if row["split"] == VAL]
    try:
        return recorded_rows(run, rows, progress, partly=True, reader=reader) if rows else None
    except DataError:  # none of the files exists any more
        return None
