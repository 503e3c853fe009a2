"""The evidence in test photos: in those that are predicted wrongly, and in one of each class that is predicted
correctly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from zoo.edge.explanation import CLASS_ACTIVATION, Explanation
from zoo.errors import UsageError
from zoo.evaluation.predictions import Predictions
from zoo.image_spec import ImageSpec
from zoo.report.findings import most_confident, read_pictures
from zoo.run_folder import Run

if TYPE_CHECKING:
    import keras

#: Batch size, and maximum number of classes of which a photo is shown.
_BATCH, _MOST_CLASSES = 16, 24


@dataclass(frozen=True)
class Evidence:
    """The evidence on the page.

    Args:
        exact: Whether the method is exact for this network.
        wrong: Explanations of wrong predictions by file name, for the predicted class.
        right: For each class, the explanation of the correct prediction with the highest confidence.
    """

    exact: bool
    wrong: Mapping[str, Explanation]
    right: Sequence[Explanation]


def find_evidence(run: Run, model: keras.Model) -> Evidence | None:
    """Explains the predictions for those test photos of a finished run that its report shows.

    Args:
        run: The run.
        model: Its trained model.

    Returns:
        The evidence. ``None`` if the model cannot be explained.
    """
    from zoo.explain import Explainer

    try:
        explainer = Explainer(model, run.name)
    except UsageError:
        return None
    predictions = Predictions.read_csv(run.path / "predictions.csv")
    wrong = most_confident(predictions, ~predictions.correct)
    pictures = read_pictures(run)
    loaded = {row: pictures.load(predictions.files[row]) for row in [*wrong, *_right(predictions)]}
    shown = [(row, picture) for row, picture in loaded.items() if picture is not None]
    found: dict[int, Explanation] = {}
    for start in range(0, len(shown), _BATCH):
        batch = shown[start : start + _BATCH]
        predicted = [[int(predictions.predicted[row])] for row, _ in batch]
        for (row, picture), item in zip(
            batch, explainer.find_all(np.stack([picture for _, picture in batch]), predicted), strict=True
        ):
            height, width = picture.shape[:2]
            found[row] = Explanation(
                file=predictions.files[row],
                label=predictions.labels[item.place],
                probability=item.probability,
                evidence=item.evidence,
                method=item.method,
                photo=picture,
                size=(height, width),
                image=ImageSpec(height_px=height, width_px=width),  # the picture is the input of the model
            )
    return Evidence(
        explainer.method == CLASS_ACTIVATION,
        {item.file: item for row, item in found.items() if not predictions.correct[row]},
        [item for row, item in found.items() if predictions.correct[row]],
    )


def _right(predictions: Predictions) -> list[int]:
    """For each class, the row of the correctly predicted photo with the highest confidence."""
    rows = []
    for place in range(min(len(predictions.labels), _MOST_CLASSES)):
        rows += most_confident(predictions, predictions.correct & (predictions.true == place), 1)
    return rows
