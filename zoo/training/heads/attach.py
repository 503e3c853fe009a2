"""Extracts features of several depths from a Keras model, and attaches a linear head on them."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.errors import PluginError
from zoo.training.heads.linear import LinearHead


def depth_features(model: keras.Model, depths: Sequence[str], backbone_end: str) -> keras.Model:
    """A model that maps raw pixels to the means of all depths' feature maps (early depths first) and the last features.

    Args:
        model: A functional model.
        depths: Names of layers whose outputs are feature maps, ``(batch, height, width, channels)``.
        backbone_end: Name of the layer whose output is the feature vector.

    Raises:
        PluginError: A layer does not exist, or its output is not a feature map.
    """
    # Explicit names, because the numbers in Keras's automatic names would change the key of cached features.
    found = [*(pool for _, pool in _pooled(model, depths)), _output(model, backbone_end)]
    joined = keras.layers.Concatenate(dtype="float32", name="depths")(found) if depths else found[0]
    return keras.Model(model.inputs[0], joined, name="backbone")


def depth_widths(model: keras.Model, depths: Sequence[str], backbone_end: str) -> list[int]:
    """Number of features of every depth, followed by that of the last features."""
    return [int(_output(model, name).shape[-1]) for name in (*depths, backbone_end)]


def with_head(
    model: keras.Model, depths: Sequence[str], backbone_end: str, head: LinearHead, used: NDArray[np.bool_]
) -> keras.Model:
    """Replaces the head of a model by a linear head. The result is a plain Keras model that shares the other layers.

    A head on the last features only is stored in the model's own last layer, if that is a Dense layer with softmax.
    Otherwise, every depth has its own Dense layer, and the scores are added, so that each depth has its own scale in an
    int8 file.

    Args:
        model: A functional model.
        depths, backbone_end: As in ``depth_features``.
        head: The head on those features.
        used: The features that the head uses. A depth without used features is omitted.
    """
    widths = depth_widths(model, depths, backbone_end)
    ends = np.cumsum(widths)
    columns = [slice(int(end) - width, int(end)) for end, width in zip(ends, widths, strict=True)]
    kept = [place for place in range(len(depths)) if used[columns[place]].any()]
    last = [head.kernel[columns[-1]].astype(np.float32), head.bias.astype(np.float32)]
    own = _own_head(model, backbone_end)
    if not kept and own is not None:
        own.set_weights(last)
        return model
    pools = dict(_pooled(model, [depths[place] for place in kept]))
    features = _output(model, backbone_end)
    classes = head.bias.size
    scores = []
    for place in kept:
        name = depths[place]
        layer = keras.layers.Dense(classes, use_bias=False, dtype="float32", name=f"scores_{name}")
        scores.append(layer(pools[name]))
        layer.set_weights([head.kernel[columns[place]].astype(np.float32)])
    layer = keras.layers.Dense(classes, dtype="float32", name=f"scores_{backbone_end}")
    scores.append(layer(features))
    layer.set_weights(last)
    total = keras.layers.Add(dtype="float32", name="scores")(scores) if len(scores) > 1 else scores[0]
    probabilities = keras.layers.Activation("softmax", dtype="float32", name="probabilities")(total)
    return keras.Model(model.inputs[0], probabilities, name=model.name)


def _pooled(model: keras.Model, depths: Sequence[str]) -> list[tuple[str, keras.KerasTensor]]:
    """The name of each depth's layer, and the mean over its feature map."""
    return [
        (name, keras.layers.GlobalAveragePooling2D(dtype="float32", name=f"mean_{name}")(_map(model, name)))
        for name in depths
    ]


def _map(model: keras.Model, name: str) -> keras.KerasTensor:
    output = _output(model, name)
    if len(output.shape) != 4:
        raise PluginError(
            f"The layer '{name}' of the model '{model.name}' is declared as a depth, but its output has shape"
            f" {output.shape}.",
            "A depth must be a feature map (batch, height, width, channels).",
        )
    return output


def _output(model: keras.Model, name: str) -> keras.KerasTensor:
    try:
        return model.get_layer(name).output
    except ValueError as error:
        raise PluginError(
            f"The model '{model.name}' has no layer '{name}', which its architecture declares as a depth or as the end"
            " of its backbone."
        ) from error


def _own_head(model: keras.Model, backbone_end: str) -> keras.layers.Dense | None:
    """The model's last layer, if it is Dense with softmax directly after the features or after dropout."""
    last = model.layers[-1]
    behind = model.layers[[layer.name for layer in model.layers].index(backbone_end) + 1 : -1]
    fits = (
        isinstance(last, keras.layers.Dense)
        and last.activation is keras.activations.softmax
        and last.use_bias
        and all(isinstance(layer, keras.layers.Dropout) for layer in behind)
    )
    return last if fits else None
