"""A prediction depends only on its own image, and on the whole model."""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.testing.result import CheckError
from zoo.testing.subject import Subject

#: Maximum difference of a probability with another batch size.
TOLERANCE = 1e-5

#: Minimum difference of a probability between two photos.
_LEAST_DIFFERENCE = 0.01


def check_batch_independence(subject: Subject) -> str:
    fitted = subject.fitted
    together = _predict(fitted.model, fitted.pixels)
    again = _predict(fitted.model, fitted.pixels)
    if not np.array_equal(together, again):
        raise CheckError(
            "the same images give the same predictions twice",
            f"a probability differs by {np.abs(together - again).max():.3g}",
            "Something random is active in inference. It must depend on `training`, like Keras's Dropout.",
        )
    alone = np.concatenate([_predict(fitted.model, fitted.pixels[index : index + 1]) for index in range(4)])
    worst = float(np.abs(alone - together[:4]).max())
    if not worst <= TOLERANCE:
        raise CheckError(
            f"predict(batch)[i] equals predict(batch[i:i+1]) within {TOLERANCE:g}",
            f"a probability differs by {worst:.3g}",
            "Something depends on the other images. Is a mean, a softmax or a normalisation computed over axis 0?",
        )
    return f"alone and among {len(together)}, a probability differs by {worst:.1g} at most"


def check_answers_differ(subject: Subject) -> str:
    spread = float(np.ptp(subject.exported.expected, axis=0).max())
    if not spread >= _LEAST_DIFFERENCE:
        raise CheckError(
            f"predictions of {len(subject.exported.expected)} different photos differ by {_LEAST_DIFFERENCE:g} or more",
            f"a probability differs by {spread:.3g} at most",
            "Does the image reach the output? If all predictions were equal, every exported file would agree with"
            " them.",
        )
    return f"a probability differs by {spread:.2f} between photos"


def _predict(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(pixels)), np.float32)
