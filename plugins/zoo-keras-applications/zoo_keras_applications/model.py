"""Adapts a network of ``keras.applications`` to zoo: one flat graph of public layers that includes normalisation.

Keras builds the network. ``adapt`` copies its graph and changes what prevents training or export:

- Preprocessing, which Keras leaves to the caller or includes in the model, becomes one ``Rescaling`` at the input. If a
  family expects the order blue, green, red, the kernel is reversed instead of the image.
- Layers without a name get a name that is the same in every process, because weights are found by name.
- A separable or grouped convolution becomes the equivalent depthwise convolution (and 1x1 convolution), which CPUs can
  train and exporters support. Classes that exist only in ``keras.applications`` become public layers with the same
  effect.

The function that the network computes does not change, nor does any weight.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
from keras import layers
from zoo import UsageError
from zoo.keras_internals import maker

from zoo_keras_applications.applications import BY_NAME, Application

#: Name of the layer whose output is the feature vector.
BACKBONE = "features"

#: Name of the layer that scales pixels. Some families already have layers that Keras names ``normalization``.
PIXELS = "pixels"

#: A layer of the original and the layers that replace it, with the same weights in the same order.
Pairs = list[tuple[keras.Layer, tuple[keras.Layer, ...]]]


def build(
    application: Application, input_shape: tuple[int, int, int], num_classes: int, *, dropout: float = 0.2
) -> keras.Model:
    """Builds a flat functional model with random weights.

    Args:
        application: The row of the table.
        input_shape: ``(height, width, 3)`` in pixels. Each side must be at least ``application.smallest_px``.
        num_classes: Number of classes, 2 or more.
        dropout: Dropout rate before the head, from 0 to below 1.

    Input shape:
        ``image``: ``(batch, height, width, 3)``, RGB, float32, 0..255.

    Output shape:
        ``probabilities``: ``(batch, num_classes)``, float32, rows sum to 1. The layer ``features``, which precedes the
        head, returns ``(batch, features)``.

    Raises:
        UsageError: A value is out of range.
    """
    _check(application, input_shape, num_classes, dropout)
    model, _ = adapt(application, original(application, input_shape, num_classes, weights=None), dropout)
    return model


def original(
    application: Application, input_shape: tuple[int, int, int], num_classes: int, weights: str | None
) -> keras.Model:
    """The network that ``keras.applications`` builds, on an input named ``image`` and zoo's normalisation."""
    image = layers.Input(input_shape, name="image", dtype="float32")
    pixels = application.pixels
    # In float32 under every policy, because bfloat16 has only 8 bits of precision.
    normalised = layers.Rescaling(list(pixels.scale), list(pixels.offset), dtype="float32", name=PIXELS)(image)
    factory: Callable[..., keras.Model] = getattr(keras.applications, application.factory)
    return factory(weights=weights, input_tensor=normalised, input_shape=input_shape, classes=num_classes)


def adapt(application: Application, source: keras.Model, dropout: float) -> tuple[keras.Model, Pairs]:
    """A copy of ``source`` with its own random weights, and the pairs of corresponding layers."""
    classifier = next(layer for layer in reversed(source.layers) if layer.weights)
    end = maker(classifier.input)
    end = maker(end.input) if isinstance(end, layers.Dropout) else end
    backbone = keras.Model(source.inputs[0], end.output)
    names = _names(backbone)
    flat = len(end.output.shape) == 2
    if flat:
        names[end] = BACKBONE

    pairs: Pairs = []
    clone = keras.models.clone_model(backbone, clone_function=lambda each: _replace(each, names, pairs))
    features = clone.output if flat else layers.Flatten(dtype="float32", name=BACKBONE)(clone.output)
    head = layers.Dense(
        classifier.bias.shape[0],
        activation="softmax",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        dtype="float32",
        name="probabilities",
    )
    probabilities = head(layers.Dropout(dropout, dtype="float32", name="dropout")(features))
    pairs.append((classifier, (head,)))
    return keras.Model(clone.inputs[0], probabilities, name=application.name), pairs


def copy_weights(application: Application, pairs: Pairs) -> None:
    """Copies the weights of the original layers to the layers that ``adapt`` created."""
    flip = application.pixels.reads_bgr
    for source, copies in pairs:
        values = source.get_weights()
        if flip and isinstance(source, layers.Conv2D):
            values[0], flip = values[0][:, :, ::-1], False  # the kernel of the first convolution
        variables = [variable for layer in copies for variable in layer.weights]
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value.reshape(variable.shape))


def _names(model: keras.Model) -> dict[Any, str]:
    """Names that are the same in every process. Keras numbers unnamed layers by how many it has built before."""
    names: dict[Any, str] = {}
    seen: Counter[str] = Counter()
    for operation in model.operations:
        kind = re.sub(r"_\d+$", "", operation.name)
        if kind.replace("_", "") == type(operation).__name__.lower():
            seen[kind] += 1
            names[operation] = f"{kind}_{seen[kind]}"
        else:
            names[operation] = operation.name
    return names


def _replace(operation: Any, names: dict[Any, str], pairs: Pairs) -> Callable[..., Any]:
    """The replacement of a layer or operation of the original."""
    name = names.get(operation, operation.name)
    if isinstance(operation, keras.Sequential):
        inside = _chain([_replace(inner, names, pairs) for inner in operation.layers])
        return lambda inputs, **_: inside(inputs)  # Keras also passes a mask
    if isinstance(operation, (layers.Rescaling, layers.Normalization)) and name != PIXELS:
        return lambda image: image  # the family's own preprocessing
    if type(operation).__name__ == "CustomScaleLayer":
        return _scaled_sum(operation, name)
    if not isinstance(operation, keras.Layer):
        return _arithmetic(operation, name)
    copies: tuple[keras.Layer, ...]
    if isinstance(operation, layers.SeparableConv2D):
        copies = _separated(operation, name)
    elif isinstance(operation, layers.Conv2D) and 1 < operation.groups == operation.filters:
        copies = (_depthwise(operation, name),)
    elif type(operation).__name__ == "LayerScale":
        copies = (_channel_scale(operation, name),)
    else:
        config = operation.get_config() | {"name": name}
        if name == BACKBONE:
            config["dtype"] = "float32"
        copies = (type(operation).from_config(config),)
    if operation.weights:
        pairs.append((operation, copies))
    return _chain(list(copies))


def _chain(parts: list[Callable[..., Any]]) -> Callable[..., Any]:
    first, *others = parts

    def call(*arguments: Any, **keywords: Any) -> Any:
        value = first(*arguments, **keywords)
        for part in others:
            value = part(value)
        return value

    return call


def _separated(layer: layers.SeparableConv2D, name: str) -> tuple[keras.Layer, ...]:
    return (
        layers.DepthwiseConv2D(
            layer.kernel_size,
            layer.strides,
            layer.padding,
            layer.depth_multiplier,
            dilation_rate=layer.dilation_rate,
            use_bias=False,
            depthwise_initializer=layer.depthwise_initializer,
            dtype=layer.dtype_policy,
            name=f"{name}_depthwise",
        ),
        layers.Conv2D(
            layer.filters,
            1,
            use_bias=layer.use_bias,
            activation=layer.activation,
            kernel_initializer=layer.pointwise_initializer,
            bias_initializer=layer.bias_initializer,
            dtype=layer.dtype_policy,
            name=f"{name}_pointwise",
        ),
    )


def _depthwise(layer: layers.Conv2D, name: str) -> keras.Layer:
    # TensorFlow cannot compute gradients of grouped convolutions on a CPU.
    return layers.DepthwiseConv2D(
        layer.kernel_size,
        layer.strides,
        layer.padding,
        use_bias=layer.use_bias,
        activation=layer.activation,
        depthwise_initializer=layer.kernel_initializer,
        dtype=layer.dtype_policy,
        name=name,
    )


def _channel_scale(layer: Any, name: str) -> keras.Layer:
    # A trained factor for each channel. Keras has no public layer with only this function.
    return layers.DepthwiseConv2D(
        1,
        use_bias=False,
        depthwise_initializer=keras.initializers.Constant(layer.init_values),
        dtype=layer.dtype_policy,
        name=name,
    )


def _arithmetic(operation: Any, name: str) -> Callable[..., Any]:
    # Keras treats the product of a tensor and a number as sparse, which later layers may refuse.
    multiplies = {"Multiply": True, "Add": False}[type(operation).__name__]

    def call(x: Any, y: Any) -> Any:
        if not isinstance(y, (int, float)):
            return (layers.Multiply if multiplies else layers.Add)(name=name)([x, y])
        return layers.Rescaling(y if multiplies else 1.0, 0.0 if multiplies else y, name=name)(x)

    return call


def _scaled_sum(layer: Any, name: str) -> Callable[..., Any]:
    scale = layers.Rescaling(layer.scale, dtype=layer.dtype_policy, name=name)
    add = layers.Add(dtype=layer.dtype_policy, name=f"{name}_add")
    return lambda inputs: add([inputs[0], scale(inputs[1])])


def _check(application: Application, input_shape: tuple[int, int, int], num_classes: int, dropout: float) -> None:
    name, smallest = application.name, application.smallest_px
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise UsageError(f"{name} takes (height, width, 3). Received: {tuple(input_shape)}.")
    if min(input_shape[:2]) < smallest:
        raise UsageError(
            f"{name} needs images of at least {smallest}x{smallest} pixels. "
            f"Received: {input_shape[1]}x{input_shape[0]} (width x height).",
            f"It was trained on images of {application.size_px}x{application.size_px} pixels.",
        )
    if num_classes < 2:
        raise UsageError(f"{name} needs at least 2 classes. Received: {num_classes}.")
    if not (math.isfinite(dropout) and 0 <= dropout < 1):
        raise UsageError(f"{name}'s dropout must be from 0 to below 1. Received: {dropout!r}.")


def __getattr__(name: str) -> Callable[..., keras.Model]:
    """``build`` of an application, by its name, because the records refer to it by this name."""
    if name not in BY_NAME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return partial(build, BY_NAME[name])
