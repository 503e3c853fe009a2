"""A network of ``keras.applications`` as zoo wants it: one flat graph of public layers, normalisation inside.

Keras builds the network; ``adapt`` copies its graph and changes what stands in the way of training or export:

- preprocessing, which Keras leaves to the caller or builds in by family, is one ``Rescaling`` at the front; the colours
  that some families read from blue to red are turned round in the kernel, not in the picture;
- layers without a name get one that is the same in every process, because weights are found by name;
- a separable or grouped convolution becomes the depthwise one (and the one of a single place) that it is, which CPUs
  train and exporters understand; classes that only ``keras.applications`` has become public layers of the same effect.

The function of the network stays as it was, weight by weight.
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

#: Name of the layer that scales pixels. ``normalization`` is Keras's name of the layers that some families already have.
PIXELS = "pixels"

#: A layer of the original and the layers that replace it, with the same weights in the same order.
Pairs = list[tuple[keras.Layer, tuple[keras.Layer, ...]]]


def build(
    application: Application, input_shape: tuple[int, int, int], num_classes: int, *, dropout: float = 0.2
) -> keras.Model:
    """A flat functional model with random weights.

    Args:
        application: Row of the table.
        input_shape: ``(height, width, 3)`` in pixels; each side at least ``application.smallest_px``.
        num_classes: Rows of the head, 2 or more.
        dropout: Rate before the head, 0 up to but not including 1.

    Input shape:
        ``image``: ``(batch, height, width, 3)``, RGB, float32, 0..255.

    Output shape:
        ``probabilities``: ``(batch, num_classes)``, float32, rows sum to 1. The layer ``features`` before it gives
        ``(batch, features)``.

    Raises:
        UsageError: A value out of range.
    """
    _check(application, input_shape, num_classes, dropout)
    model, _ = adapt(application, original(application, input_shape, num_classes, weights=None), dropout)
    return model


def original(
    application: Application, input_shape: tuple[int, int, int], num_classes: int, weights: str | None
) -> keras.Model:
    """What ``keras.applications`` builds, on an input called ``image`` and our normalisation."""
    image = layers.Input(input_shape, name="image", dtype="float32")
    pixels = application.pixels
    # In float32 under every policy, because bfloat16 has only 8 bits of precision.
    normalised = layers.Rescaling(list(pixels.scale), list(pixels.offset), dtype="float32", name=PIXELS)(image)
    factory: Callable[..., keras.Model] = getattr(keras.applications, application.factory)
    return factory(weights=weights, input_tensor=normalised, input_shape=input_shape, classes=num_classes)


def adapt(application: Application, source: keras.Model, dropout: float) -> tuple[keras.Model, Pairs]:
    """A copy of ``source`` with weights of its own, random ones, and which layers of the two belong together."""
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
    """Fills the layers of ``adapt`` with the weights of the originals."""
    flip = application.pixels.reads_bgr
    for source, copies in pairs:
        values = source.get_weights()
        if flip and isinstance(source, layers.Conv2D):
            values[0], flip = values[0][:, :, ::-1], False  # the first variable
        variables = [variable for layer in copies for variable in layer.weights]
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value.reshape(variable.shape))


def _names(model: keras.Model) -> dict[Any, str]:
    """The same names in every process: Keras numbers nameless layers by what it has built before."""
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
        return lambda inputs, **_: inside(inputs)  # Keras passes a mask to it
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
            f"It was made for {application.size_px}.",
        )
    if num_classes < 2:
        raise UsageError(f"{name} needs at least 2 classes. Received: {num_classes}.")
    if not (math.isfinite(dropout) and 0 <= dropout < 1):
        raise UsageError(f"{name}'s dropout must be from 0 to below 1. Received: {dropout!r}.")


def __getattr__(name: str) -> Callable[..., keras.Model]:
    """``build`` of an application, by its name: that is how the records name it."""
    if name not in BY_NAME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return partial(build, BY_NAME[name])
