"""Contribution of each position to the logit of a class, for networks whose logits are linear in feature maps.

If a network ends in pooling and one dense layer, the logit of a class is a sum over the positions of the feature map.
Its terms are the class activation map (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization").
This is true for every head that only pools, concatenates, adds, and multiplies by constants, and for feature maps of
several depths. Such a head is found by following the graph backwards from the logits, regardless of the names of its
layers.

Softmax gives the same probabilities if a constant is added to all logits. Therefore the evidence is relative to the
mean of all classes: two networks with the same probabilities have the same evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from zoo.data import ImageData
from zoo.exporting.graph import TRAINING_ONLY, Call, Graph, copy_layer, to_array
from zoo.parity import ExpectedMaps

Array = NDArray[np.float32]

#: Maximum number of positions per side in a map of several depths.
_MOST_PLACES = 32

_NO_ACTIVATION = (None, keras.activations.linear)


@dataclass(frozen=True)
class Logits:
    """The logits: the inputs of the softmax at the end of a network.

    Args:
        call: The call that computes the logits, possibly together with their softmax.
        layer: A layer that computes the logits without softmax. ``None`` if the call computes them itself.
    """

    call: Call
    layer: keras.Layer | None

    @property
    def operation(self) -> Any:
        return self.layer or self.call.operation


@dataclass(frozen=True)
class Depth:
    """A feature map in which the logits are linear.

    Args:
        call: The call that computes it.
        weights: Weight of each value in the logit of each class, relative to the mean of all classes:
            ``(height, width, channels, classes)``. Height and width are 1 if all positions have the same weight.
        size: Height and width of the feature map.
    """

    call: Call
    weights: Array
    size: tuple[int, int]

    @property
    def uniform(self) -> bool:
        """Whether all positions have the same weight."""
        return self.weights.shape[:2] == (1, 1)

    def evidence(self, features: Array) -> Array:
        """The contribution of each position to the logit of each class, ``(n, height, width, classes)``."""
        if self.uniform:
            return np.asarray(features @ self.weights[0, 0], np.float32)
        return np.asarray(np.einsum("nhwc,hwck->nhwk", features, self.weights), np.float32)


@dataclass(frozen=True)
class LinearHead:
    """A head whose logits are ``bias`` plus the evidence summed over all positions and depths.

    Args:
        depths: The feature maps, from the last to the first.
        bias: Bias of each class, ``(classes,)``, relative to the mean of all classes.
    """

    depths: tuple[Depth, ...]
    bias: Array

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the combined map of all depths.

        This is the size of the finest map. If this map has too many positions to be useful, it is the size of the
        finest smaller map to which the positions of the finer maps can be summed.
        """
        sizes = [depth.size for depth in self.depths]
        finest = max(sizes)
        fewer = max((size for size in sizes if max(size) <= _MOST_PLACES), default=finest)
        whole = all(fine % side == 0 for size in sizes if size > fewer for fine, side in zip(size, fewer, strict=True))
        return fewer if whole else finest

    def evidence(self, features: Sequence[Array]) -> Array:
        """The evidence of all depths on the grid of ``size``, ``(n, height, width, classes)``.

        Summed over all positions, plus ``bias``, it is the logit of each class minus the mean of all logits.
        """
        parts = zip(self.depths, features, strict=True)
        return np.asarray(sum(spread(depth.evidence(values), self.size) for depth, values in parts), np.float32)


def find_logits(graph: Graph) -> Logits | None:
    """Finds the logits of a network. ``None`` if it does not end in softmax."""
    call: Call | None = graph.output[0]
    while call is not None:
        operation = call.operation
        if isinstance(operation, layers.Softmax) or type(operation).__name__ == "Softmax":
            return _before(call)
        activation = getattr(operation, "activation", None)
        if activation is keras.activations.softmax:
            if isinstance(operation, layers.Activation):
                return _before(call)
            return Logits(call, copy_layer(operation, activation="linear"))
        if not isinstance(operation, TRAINING_ONLY):
            return None
        call = call.only_source
    return None


def find_head(graph: Graph) -> LinearHead | None:
    """Finds the linear head of a network. ``None`` if an operation after the feature maps is not linear."""
    logits = find_logits(graph)
    if logits is None or len(logits.call.shapes[0]) != 2:
        return None
    classes = logits.call.shapes[0][1]
    assert classes is not None
    weights: dict[Call, Array] = {logits.call: np.eye(classes, dtype=np.float32)}
    bias = np.zeros(classes, np.float32)
    depths = []
    for call in reversed(graph.calls):  # every call comes after those whose outputs it uses
        if call not in weights:
            continue
        if (size := map_size(call)) is not None:
            depths.append((call, weights[call], size))
            continue
        operation = logits.operation if call is logits.call else call.operation
        linear = _transposed(call, operation, weights.pop(call))
        if linear is None:
            return None
        shares, added = linear
        bias = bias + added
        for (source, _), share in zip(call.sources, shares, strict=True):
            weights[source] = weights[source] + share if source in weights else share
    if not depths:
        return None
    found = (Depth(call, share - share.mean(axis=-1, keepdims=True), size) for call, share, size in depths)
    return LinearHead(tuple(found), bias - bias.mean())


def map_size(call: Call) -> tuple[int, int] | None:
    """Height and width of the feature map that a call computes. ``None`` if its output is not a feature map."""
    shape = call.shapes[0]
    if len(call.shapes) != 1 or len(shape) != 4 or None in shape[1:]:
        return None
    height, width = int(shape[1] or 0), int(shape[2] or 0)
    return (height, width) if height * width > 1 else None


def features_of(graph: Graph, calls: Sequence[Call], images: NDArray[Any]) -> tuple[Array, list[Array]]:
    """Computes the network's output and the values of given calls for images."""
    from zoo.exporting.quantize.forward import run

    found: dict[Call, Array] = {}

    def visit(call: Call, values: list[Any]) -> Any:
        value = call.invoke(call.operation, values)
        if call in calls:
            found[call] = _numpy(value)
        return value

    image = keras.ops.convert_to_tensor(images, "float32")
    if graph.input in calls:
        found[graph.input] = _numpy(image)
    output = run(graph, image, visit)
    return _numpy(output), [found[call] for call in calls]


def keras_maps(
    model: keras.Model,
    data: ImageData,
    indices: NDArray[np.int64],
    classes: NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
) -> ExpectedMaps | None:
    """Computes the evidence with Keras, for one class per image. ``None`` if the head is not linear.

    Args:
        model: The Keras model.
        data: The dataset.
        indices: Indices of the images.
        classes: Class index for each image.
        progress: Called with images done and images to do.
    """
    from zoo.exporting.quantize.forward import BATCH

    graph = Graph(model)
    head = find_head(graph)
    if head is None:
        return None
    maps = np.empty((len(indices), *head.size), np.float32)
    for start in range(0, len(indices), BATCH):
        chosen = indices[start : start + BATCH]
        _, features = features_of(graph, [depth.call for depth in head.depths], data.pixels.read(chosen))
        rows = np.arange(len(chosen))
        maps[start : start + BATCH] = head.evidence(features)[rows, :, :, classes[start : start + BATCH]]
        if progress:
            progress(start + len(chosen), len(indices))
    return ExpectedMaps(classes=classes, maps=maps)


def spread(evidence: Array, size: tuple[int, int]) -> Array:
    """Resamples evidence to a finer grid by interpolation, or to a coarser grid by summation. The sum is preserved.

    Args:
        evidence: Evidence, ``(n, height, width, classes)``.
        size: Target height and width. The sides of a coarser grid must be divisors of the current sides.
    """
    count, height, width, classes = evidence.shape
    if (height, width) == size:
        return evidence
    if height > size[0] or width > size[1]:
        blocks = evidence.reshape(count, size[0], height // size[0], size[1], width // size[1], classes)
        return np.asarray(blocks.sum(axis=(2, 4)), np.float32)
    rows, columns = (interpolation(*sizes) for sizes in zip(size, evidence.shape[1:3], strict=True))
    rows, columns = rows / rows.sum(axis=0), columns / columns.sum(axis=0)
    return np.asarray(np.einsum("yh,nhwk,xw->nyxk", rows, evidence, columns, optimize=True), np.float32)


def interpolation(fine: int, coarse: int) -> Array:
    """Weight of each coarse position in each fine position, ``(fine, coarse)``. Each row sums to 1."""
    places = np.clip((np.arange(fine) + 0.5) * coarse / fine - 0.5, 0, coarse - 1)
    return np.asarray(np.maximum(1 - np.abs(places[:, None] - np.arange(coarse)), 0), np.float32)


def _numpy(value: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(value, "float32")), np.float32)


def _before(call: Call) -> Logits | None:
    source = call.only_source
    return None if source is None else Logits(source, None)


def _transposed(call: Call, operation: Any, weights: Array) -> tuple[list[Array], Array | float] | None:
    """For an affine call whose output has ``weights``: the weights of its sources, and the constant that it adds.

    ``None`` if the call is not affine, or not known to be.
    """
    for kinds, rule in _RULES.items():
        if type(operation).__name__ in kinds:
            found: tuple[list[Array], Array | float] | None = rule(call, operation, weights)
            return found
    return None


def _source_shape(call: Call) -> tuple[int, ...]:
    source, index = call.sources[0]
    return tuple(int(side or 0) for side in source.shapes[index][1:])


def _keep(call: Call, operation: Any, weights: Array) -> tuple[list[Array], float] | None:
    return ([weights], 0.0) if getattr(operation, "activation", None) in _NO_ACTIVATION else None


def _reshape(call: Call, operation: Any, weights: Array) -> tuple[list[Array], float] | None:
    if getattr(operation, "data_format", None) == "channels_first":
        return None
    return [weights.reshape(*_source_shape(call), weights.shape[-1])], 0.0


def _dense(call: Call, operation: Any, weights: Array) -> tuple[list[Array], Array] | None:
    """A dense layer, or a 1x1 convolution."""
    kernel = to_array(operation.kernel)
    if kernel.ndim == 4:
        if kernel.shape[:2] != (1, 1) or operation.groups != 1 or operation.data_format != "channels_last":
            return None
        kernel = kernel[0, 0]
    if operation.activation not in _NO_ACTIVATION:
        return None
    bias = to_array(operation.bias) if operation.use_bias else np.zeros(kernel.shape[1], np.float32)
    return [np.einsum("io,...ok->...ik", kernel, weights)], bias @ weights.reshape(-1, *weights.shape[-2:]).sum(axis=0)


def _pool(call: Call, operation: Any, weights: Array) -> tuple[list[Array], float] | None:
    if operation.data_format != "channels_last":
        return None
    height, width, channels = _source_shape(call)
    share = weights.reshape(1, 1, channels, -1)
    if isinstance(operation, layers.AveragePooling2D):
        high, wide = operation.pool_size
        if operation.padding != "valid" or high > height or wide > width:
            return None
        share = share / np.float32(high * wide)
        if (high, wide) != (height, width):
            share = np.pad(
                np.broadcast_to(share, (high, wide, *share.shape[2:])),
                ((0, height - high), (0, width - wide), (0, 0), (0, 0)),
            )
        return [share], 0.0
    return [share / np.float32(height * width)], 0.0


def _mean(call: Call, operation: Any, weights: Array) -> tuple[list[Array], float] | None:
    shape = _source_shape(call)
    axis = operation.axis if isinstance(operation.axis, (list, tuple)) else (operation.axis,)
    if len(shape) != 3 or sorted(side % 4 for side in axis if side is not None) != [1, 2]:
        return None
    return [weights.reshape(1, 1, shape[2], -1) / np.float32(shape[0] * shape[1])], 0.0


def _add(call: Call, operation: Any, weights: Array) -> tuple[list[Array], float] | None:
    shapes = {source.shapes[index] for source, index in call.sources}
    if len(call.sources) < 2 or shapes != {call.shapes[0]}:
        return None
    share = weights / np.float32(len(call.sources)) if isinstance(operation, layers.Average) else weights
    return [share] * len(call.sources), 0.0


def _concatenate(call: Call, operation: Any, weights: Array) -> tuple[list[Array], float] | None:
    dimensions = len(call.shapes[0])
    axis = operation.axis % dimensions - 1
    if axis < 0:
        return None
    ends = np.cumsum([int(source.shapes[index][axis + 1] or 0) for source, index in call.sources])
    return list(np.split(weights, ends[:-1], axis=axis)), 0.0


def _rescale(call: Call, operation: Any, weights: Array) -> tuple[list[Array], Array]:
    scale, offset = (np.asarray(value, np.float32)[..., None] for value in (operation.scale, operation.offset))
    added = np.broadcast_to(offset, weights.shape) * weights
    return [np.asarray(weights * scale, np.float32)], added.reshape(-1, weights.shape[-1]).sum(axis=0)


def _batch_norm(call: Call, operation: Any, weights: Array) -> tuple[list[Array], Array] | None:
    axis = operation.axis[0] if isinstance(operation.axis, (list, tuple)) else operation.axis
    if axis not in (-1, len(call.shapes[0]) - 1):
        return None
    scale = 1 / np.sqrt(to_array(operation.moving_variance) + operation.epsilon)
    if operation.scale:
        scale = scale * to_array(operation.gamma)
    offset = -to_array(operation.moving_mean) * scale
    if operation.center:
        offset = offset + to_array(operation.beta)
    return [weights * scale[:, None]], offset @ weights.reshape(-1, *weights.shape[-2:]).sum(axis=0)


#: The rules by the names of layers and operations. Operations of ``keras.ops`` have names similar to those of layers.
_RULES: dict[tuple[str, ...], Any] = {
    (*(layer.__name__ for layer in TRAINING_ONLY), "Activation", "FakeQuantize"): _keep,
    ("Flatten", "Reshape", "Squeeze", "ExpandDims"): _reshape,
    ("Dense", "Conv2D"): _dense,
    ("GlobalAveragePooling2D", "AveragePooling2D"): _pool,
    ("Mean",): _mean,
    ("Add", "Average"): _add,
    ("Concatenate",): _concatenate,
    ("Rescaling",): _rescale,
    ("BatchNormalization",): _batch_norm,
}
