"""Confidence against accuracy: the bins of the reliability diagram."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zoo.evaluation.predictions import Predictions
from zoo.run_folder.info import Bin

#: Bins of the reliability diagram, of equal width, closed on the right (Guo et al. 2017).
CALIBRATION_BINS = 15


def calibration_bins(predictions: Predictions) -> tuple[Bin, ...]:
    """The predictions in bins of their confidence. Confidence and accuracy of an empty bin are ``None``."""
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    confidence = predictions.confidence.astype(np.float64)
    place = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, CALIBRATION_BINS - 1)
    counts = np.bincount(place, minlength=CALIBRATION_BINS)
    confidences = _means(confidence, place, counts)
    accuracies = _means(predictions.correct.astype(np.float64), place, counts)
    return tuple(
        Bin(
            low=float(edges[index]),
            high=float(edges[index + 1]),
            count=int(counts[index]),
            confidence=float(confidences[index]) if counts[index] else None,
            accuracy=float(accuracies[index]) if counts[index] else None,
        )
        for index in range(CALIBRATION_BINS)
    )


def _means(
    values: npt.NDArray[np.float64], place: npt.NDArray[np.intp], counts: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Mean of the values in each bin, 0 for an empty bin."""
    return np.bincount(place, weights=values, minlength=len(counts)) / np.maximum(counts, 1)
