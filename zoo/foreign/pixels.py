"""The pixel ranges that a model may expect, and the conversion of raw pixels to them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.data import ImageData
from zoo.evaluation import wilson_interval
from zoo.evaluation.paired import mcnemar
from zoo.evaluation.predict import predict

if TYPE_CHECKING:
    import keras

#: Values of ``--pixels``, with the names that Keras uses for these ranges.
PIXELS: Mapping[str, str] = MappingProxyType(
    {
        "0..255": "raw pixels",
        "0..1": "Rescaling(1/255)",
        "-1..1": 'Rescaling(1/127.5, -1), mode "tf" of preprocess_input',
        "caffe": 'BGR without the mean of ImageNet, mode "caffe" of preprocess_input',
        "torch": 'mean and deviation of ImageNet, mode "torch" of preprocess_input',
    }
)
RAW = "0..255"

_MEAN = (123.68, 116.779, 103.939)
_DEVIATION = (0.229 * 255, 0.224 * 255, 0.225 * 255)
_TORCH_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)

#: Maximum number of photos on which ranges are tried.
_PHOTOS = 200
#: Significance level at which another range must be better than raw pixels.
_SIGNIFICANCE = 0.01


def scaled(image: Any, pixels: str) -> Any:
    """Converts raw RGB pixels to one of the ranges of ``PIXELS``, if possible with layers that can be folded."""
    from keras import layers, ops

    if pixels == "0..1":
        return layers.Rescaling(1 / 255, name="pixels")(image)
    if pixels == "-1..1":
        return layers.Rescaling(1 / 127.5, -1, name="pixels")(image)
    if pixels == "torch":
        return layers.Normalization(mean=_TORCH_MEAN, variance=np.square(_DEVIATION).tolist(), name="pixels")(image)
    if pixels == "caffe":
        return ops.flip(layers.Normalization(mean=_MEAN, variance=(1.0, 1.0, 1.0), name="pixels")(image), -1)
    return image


def fitting_pixels(model: keras.Model, data: ImageData, split: str) -> str | None:
    """The pixel range that a model seems to expect, if it predicts at chance level for raw pixels.

    Args:
        model: A model that maps raw pixels to probabilities.
        data: Labelled photos.
        split: The split. A few hundred photos are used.

    Returns:
        ``None`` if raw pixels are suitable, or if no other range is significantly better than raw pixels and than
        always predicting the most frequent class.
    """
    import keras

    indices = data.indices(split)
    indices = np.sort(np.random.default_rng(0).permutation(indices)[:_PHOTOS])
    true = data.classes[indices]
    if not indices.size:
        return None

    def ask(pixels: str) -> tuple[NDArray[np.bool_], float]:
        """Which photos are predicted correctly, and the mean probability of the true classes."""
        image = keras.Input(model.input_shape[1:])
        asked = model if pixels == RAW else keras.Model(image, model(scaled(image, pixels)))
        probabilities = predict(asked, data, indices)
        return probabilities.argmax(axis=1) == true, float(probabilities[np.arange(len(true)), true].mean())

    commonest = int(np.bincount(true).max()) / len(true)

    def above_chance(right: NDArray[np.bool_]) -> bool:
        return wilson_interval(int(right.sum()), len(right))[0] > commonest

    raw, _ = ask(RAW)
    if above_chance(raw):
        return None
    found = {pixels: ask(pixels) for pixels in PIXELS if pixels != RAW}
    # Two ranges may be equally good, because -1..1 is similar to that of torch.
    best = max(found, key=lambda pixels: (int(found[pixels][0].sum()), found[pixels][1]))
    right, _ = found[best]
    better, worse = int((right & ~raw).sum()), int((raw & ~right).sum())
    significant = better > worse and mcnemar(better, worse) * len(found) < _SIGNIFICANCE
    # If the labels are in the wrong order, the accuracy with raw pixels may be below chance, and any range at chance
    # level would be better.
    return best if significant and above_chance(right) else None
