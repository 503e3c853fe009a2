"""Calibration of confidence: a temperature, fitted on the validation images and stored in the model's weights.

Guo et al. 2017, "On Calibration of Modern Neural Networks": dividing the logits by one number changes no prediction and
corrects most of a network's over- or underconfidence. The logits are linear in the weights of the last layer, or of the
layers whose sum they are, so these weights are divided instead, and every file exported from the model is calibrated as
well.
"""

from __future__ import annotations

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.keras_internals import called_once, maker

#: Standard deviation of the prior of the logarithm of the temperature. Without a prior, a few validation images that
#: are all correct would make every confidence 1. docs/decisions/0008-confidence.md
PRIOR = 0.5

#: Layers that commute with a division: the first may be anywhere after the logits, the second only before the softmax.
_TRANSPARENT = ("Dropout", "Flatten", "Reshape")
_LINEAR = ("GlobalAveragePooling2D",)
_WEIGHTED = (keras.layers.Dense, keras.layers.Conv2D)


def fit_temperature(probabilities: NDArray[np.float32], true: NDArray[np.integer]) -> float:
    """The temperature T that maximises the likelihood of softmax(logits / T), given ``PRIOR``.

    Args:
        probabilities: ``(n, classes)``, probabilities of the validation images. Rows sum to 1.
        true: ``(n,)``, class index of each image.

    Returns:
        Above 1 if the model is overconfident, below 1 if it is underconfident, 1 without images.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30))
    rows = np.arange(len(true))

    def unlikelihood(log_temperature: float) -> float:
        likelihood = log_softmax(logits / np.exp(log_temperature), axis=1)[rows, true].sum()
        return float((log_temperature / PRIOR) ** 2 / 2 - likelihood)

    return float(np.exp(minimize_scalar(unlikelihood, bounds=(-3, 3), method="bounded").x)) if len(true) else 1.0


def calibrated_errors(probabilities: NDArray[np.float32], true: NDArray[np.integer]) -> NDArray[np.float64]:
    """Squared error of each image after calibration: the sum over classes that the Brier score (Brier 1950) averages.

    Args:
        probabilities: ``(n, classes)``, probabilities of images that were not used for training. Rows sum to 1.
        true: ``(n,)``, class index of each image.

    Returns:
        ``(n,)``, from 0 to 2.
    """
    from scipy.special import softmax

    logits = np.log(np.maximum(probabilities.astype(np.float64), 1e-30))
    calibrated = softmax(logits / fit_temperature(probabilities, true), axis=1)
    return np.asarray(((calibrated - np.eye(probabilities.shape[1])[true]) ** 2).sum(axis=1))


def divide_logits(model: keras.Model, temperature: float) -> bool:
    """Stores a temperature in the weights of the layers that compute the logits.

    Returns:
        Whether there is such a layer: a Dense or Conv2D whose outputs go into a softmax, which may be its own
        activation, or several whose sum does, as in a head on several depths. Only GlobalAveragePooling2D before the
        softmax, and Dropout, Flatten and Reshape, may follow as well. Other models are not changed.
    """
    layers = _logits_layers(model)
    for layer in layers:
        layer.set_weights([weights / np.float32(temperature) for weights in layer.get_weights()])
    return bool(layers)


def _logits_layers(model: keras.Model) -> list[keras.Layer]:
    softmax = False
    layer = maker(model.outputs[0])
    while layer is not None:
        activation = getattr(layer, "activation", None)
        if type(layer).__name__ == "Softmax" or activation is keras.activations.softmax:
            if softmax:
                return []
            softmax = True
        elif activation not in (None, keras.activations.linear):
            return []
        if isinstance(layer, _WEIGHTED):
            return [layer] if softmax else []
        if softmax and isinstance(layer, keras.layers.Add) and called_once(layer):
            added = [maker(tensor) for tensor in layer.input]
            return added if all(map(_is_linear, added)) else []
        passed = (*_TRANSPARENT, "Softmax", "Activation", *(_LINEAR if softmax else ()))
        if type(layer).__name__ not in passed or not called_once(layer):
            return []
        source = layer.input
        layer = None if isinstance(source, list) else maker(source)
    return []


def _is_linear(layer: keras.Layer) -> bool:
    return isinstance(layer, _WEIGHTED) and layer.activation is keras.activations.linear and called_once(layer)
