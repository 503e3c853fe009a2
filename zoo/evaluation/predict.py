"""A Keras model's answers on a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.backend import on_accelerator
from zoo.data import ImageData
from zoo.evaluation.predictions import Predictions

if TYPE_CHECKING:
    import keras

#: Inputs that a model predicts at once.
_MOST = 32
#: Pixels that it does at once on a processor, eight photos of 224 x 224: with more, the maps of the first layers leave
#: the processor's cache and take memory, for no gain. docs/decisions/0023-memory.md.
_PIXELS = 8 * 224 * 224


def batch_size(shape: Sequence[int]) -> int:
    """How many inputs a model predicts at once.

    Args:
        shape: Of one input: ``(height, width, 3)`` of an image, ``(features,)`` of a feature vector.
    """
    if len(shape) != 3 or on_accelerator():
        return _MOST
    height, width, _ = shape
    return min(_MOST, max(1, _PIXELS // (height * width)))


def predict(
    model: keras.Model,
    data: ImageData,
    indices: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
    total: int = 0,
) -> NDArray[np.float32]:
    """Probabilities of the images at ``indices``, float32 ``(len(indices), classes)``, in flat memory.

    Args:
        model: Takes raw pixels, as every zoo model does.
        data: Where the pixels are.
        indices: Which images.
        progress: Called with images done and images to do.
        total: Images that the model is to predict in all, these and others; where they fill a batch, these do too.
    """
    total = max(total, len(indices))
    probabilities = np.empty((len(indices), model.output_shape[-1]), np.float32)
    step = batch_size(data.pixels.shape)
    for start in range(0, len(indices), step):
        chosen = indices[start : start + step]
        probabilities[start : start + len(chosen)] = answers(model, data.pixels.read(chosen), total)
        if progress:
            progress(start + len(chosen), len(indices))
    return probabilities


def answers(model: keras.Model, inputs: NDArray[Any], total: int) -> NDArray[np.float32]:
    """A model's outputs on inputs of any number, float32.

    A backend compiles a model anew for every batch size. So where there is more than one batch, ``total`` being above
    ``batch_size``, the last is filled up to the size of the others.
    """
    import keras

    size = batch_size(inputs.shape[1:])
    total = max(total, len(inputs))
    found = []
    for start in range(0, len(inputs), size):
        batch = inputs[start : start + size]
        missing = size - len(batch) if total > size else 0
        filled = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), batch.dtype)]) if missing else batch
        outputs = keras.ops.convert_to_numpy(model.predict_on_batch(filled))
        found.append(np.asarray(outputs, np.float32)[: len(batch)])
    return np.concatenate(found) if len(found) > 1 else found[0]


def predict_split(
    model: keras.Model, data: ImageData, split: str, progress: Callable[[int, int], None] | None = None
) -> Predictions:
    """The model's answers on one split of ``data``, in batches of one size whichever split it is."""
    indices = data.indices(split)
    return Predictions(
        labels=data.labels,
        files=tuple(data.names[index] for index in indices),
        true=data.classes[indices],
        probabilities=predict(model, data, indices, progress, total=len(data.names)),
    )
