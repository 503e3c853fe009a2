"""Adapts a model from outside zoo to raw RGB pixels as input and one row of probabilities as output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import UsageError
from zoo.foreign.pixels import PIXELS, RAW, scaled
from zoo.foreign.read import loading
from zoo.keras_internals import layers_of
from zoo.parity.contract import shape_text
from zoo.parity.values import PROBABILITY_TOLERANCE

if TYPE_CHECKING:
    import keras

#: Gray from red, green and blue, as decoders of photos compute it (ITU-R BT.601).
_GRAY = (0.299, 0.587, 0.114)
#: Number of pictures for which the output values of a model are examined.
_PROBES = 16


@dataclass(frozen=True)
class Adapted:
    """A model that takes raw pixels and returns probabilities.

    Args:
        model: Functional, in float32.
        notes: The changes, one sentence each. Empty if the model is unchanged.
    """

    model: keras.Model
    notes: tuple[str, ...]


def adapt(model: keras.Model, labels: tuple[str, ...], name: str, pixels: str = RAW) -> Adapted:
    """Adds the layers that a model lacks.

    Args:
        model: The model as read from the file.
        labels: Class names in the order of its outputs.
        name: Name of the model in messages.
        pixels: The pixel range that it expects, one of ``PIXELS``.

    Raises:
        UsageError: The model cannot be adapted without guessing.
    """
    from zoo.exporting.graph import Graph

    _refuse_quantised(model, name)
    height_px, width_px, channels = _input_shape(model, name)
    import keras

    notes = []
    image = keras.Input((height_px, width_px, 3), name="image")
    x = scaled(image, pixels)
    if pixels != RAW:
        notes.append(f"Raw pixels are converted to the range that the model expects: {pixels}, {PIXELS[pixels]}.")
    if channels == 1:
        x = _gray(x)
        notes.append(f"The model takes gray photos. Gray is computed from red, green and blue as {_GRAY}.")
    if model.inputs[0].shape[0] is not None:
        notes.append(
            f"The batch size of the model is fixed to {model.inputs[0].shape[0]}. It is changed to any batch size."
        )
    output = _called(model, x, name, notes)
    probed = _probe(keras.Model(image, output), (height_px, width_px))
    output = _probabilities(model, output, probed, labels, name, notes)
    dtypes = sorted({layer.compute_dtype for layer in layers_of(model)} - {"float32"})
    if dtypes:
        notes.append(
            f"The model computes in {', '.join(dtypes)}; exported files compute in float32, and so does Keras when "
            "they are compared."
        )
    if not notes and not any(map(keras.tree.is_nested, _structure(model))):
        return Adapted(model, ())
    adapted = keras.Model(image, output, name=model.name)
    return Adapted(Graph(adapted).rebuild() if dtypes else adapted, tuple(notes))


def _refuse_quantised(model: keras.Model, name: str) -> None:
    for layer in layers_of(model):
        if getattr(layer, "quantization_mode", None):
            raise UsageError(
                f"{name} was changed by model.quantize(): the {type(layer).__name__} layer '{layer.name}' stores "
                f"weights in {layer.quantization_mode} and rounds its inputs while it computes, which no exported "
                "file can reproduce.",
                "Export the original model. zoo quantises it itself with --precision int8.",
            )


def _input_shape(model: keras.Model, name: str) -> tuple[int, int, int]:
    """Height, width and channels of the input image of a model."""
    from zoo.exporting.graph import has_graph

    if not has_graph(model):
        raise UsageError(
            f"{name} is a {type(model).__name__}: its layers are called in Python code, so Keras has no graph of them.",
            "Build it with keras.Model(inputs, outputs).",
        )
    if len(model.inputs) != 1:
        names = ", ".join(f"'{tensor.name}' {shape_text(tensor.shape)}" for tensor in model.inputs)
        raise UsageError(
            f"{name} has {len(model.inputs)} inputs: {names}. A classifier of photos has one.",
            "Give the others constant values, and save that model: keras.Model(image, model([image, ...])).",
        )
    (tensor,) = model.inputs
    shape = tuple(tensor.shape)
    expected = "expected (batch, height, width, 3), or 1 for gray photos"
    if len(shape) != 4:
        raise UsageError(f"{name} takes {shape_text(shape)}; {expected}.")
    if shape[3] not in (1, 3) and shape[1] in (1, 3):
        raise UsageError(
            f"{name} takes {shape_text(shape)}: its channels come first (channels_first); {expected}.",
            "Build the same layers with channels last as `new`: call "
            'keras.config.set_image_data_format("channels_last") before the code that built the model. Then copy the '
            "weights, which have the same shapes (but a Flatten before a Dense layer changes the order of its inputs):"
            + loading(name, "new.set_weights(model.get_weights())", 'new.save("channels_last.keras")'),
        )
    if shape[3] not in (1, 3):
        raise UsageError(f"{name} takes {shape_text(shape)}; {expected}.")
    if shape[1] is None or shape[2] is None:
        raise UsageError(
            f"{name} takes {shape_text(shape)}: its height and width are free, but an exported file has a fixed size.",
            "Set the size of its training photos:"
            + loading(
                name,
                f"image = keras.Input((224, 224, {shape[3]}))",
                'keras.Model(image, model(image)).save("fixed.keras")',
            ),
        )
    return shape[1], shape[2], shape[3]


def _structure(model: keras.Model) -> tuple[Any, Any]:
    """Input and output of a model: a symbolic tensor each, or a dict or list of one."""
    import keras

    if isinstance(model, keras.Sequential):
        return model.inputs[0], model.outputs[0]
    return model.input, model.output


def _gray(x: Any) -> Any:
    from keras import layers

    gray = layers.Conv2D(1, 1, use_bias=False, name="gray")
    gray.build((None, None, None, 3))
    gray.set_weights([np.array(_GRAY, np.float32).reshape(1, 1, 3, 1)])
    return gray(x)


def _called(model: keras.Model, x: Any, name: str, notes: list[str]) -> Any:
    """The single output of a model that is called with ``x``, as one row per photo."""
    import keras

    if len(model.outputs) != 1:
        outputs = model.output if isinstance(model.output, dict) else dict(enumerate(model.outputs))
        told = ", ".join(f"{key!r} {shape_text(tensor.shape)}" for key, tensor in outputs.items())
        raise UsageError(
            f"{name} has {len(model.outputs)} outputs: {told}. A classifier has one.",
            "Save a model with only the output for the probabilities, such as:"
            + loading(
                name,
                f'keras.Model(model.inputs[0], model.output[{next(iter(outputs))!r}]).save("one.keras")',
            ),
        )
    try:
        output = keras.tree.flatten(model(keras.tree.pack_sequence_as(_structure(model)[0], [x]), training=False))[0]
    except Exception as error:  # a layer that requires its batch size may raise any error
        raise UsageError(
            f"{name} cannot be called with a free batch size: {(str(error).splitlines() or [''])[0]}",
            "Build it with keras.Input((height, width, 3)), without a batch size.",
        ) from error
    shape = tuple(output.shape)
    if shape[:1] != (None,):
        raise UsageError(
            f"{name} returns {shape_text(shape)} for every batch size, because one of its layers fixes the batch size.",
            "Use layers.Reshape((...)) instead of keras.ops.reshape(x, (1, ...)), and save it again.",
        )
    if len(shape) > 2 and shape[1:-1] == (1,) * (len(shape) - 2):
        notes.append(f"The model returns {shape}; files return (None, {shape[-1]}).")
        output = keras.layers.Reshape((shape[-1],), name="row")(output)
    elif len(shape) != 2:
        raise UsageError(
            f"{name} returns {shape}: a map or a sequence instead of one row of probabilities per photo.",
            "Add layers.GlobalAveragePooling2D() before its last layer, and save it again.",
        )
    return output


def _probe(model: keras.Model, size: tuple[int, int]) -> NDArray[np.float32]:
    """Outputs of a model for black, white and noisy images of several contrasts."""
    from zoo.evaluation.predict import predict_inputs

    random = np.random.default_rng(0)
    contrast = np.linspace(0, 1, _PROBES).reshape(-1, 1, 1, 1)
    noise = random.uniform(0, 255, (_PROBES, *size, 3)) * contrast + random.uniform(0, 255, (_PROBES, 1, 1, 3)) * (
        1 - contrast
    )
    noise[0], noise[1] = 0, 255
    return predict_inputs(model, noise.astype(np.uint8), _PROBES)


def _probabilities(
    model: keras.Model, output: Any, probed: NDArray[np.float32], labels: tuple[str, ...], name: str, notes: list[str]
) -> Any:
    """Converts the output to one probability per label, based on the last activation and on test outputs."""
    from keras import activations, layers

    from zoo.exporting.graph import last_activation

    count = output.shape[-1]
    activation = last_activation(model)
    told = getattr(activation, "__name__", "unknown")
    found = f"values from {probed.min():.3g} to {probed.max():.3g}, last activation {told}"
    if not np.isfinite(probed).all():
        raise UsageError(
            f"{name} returns values that are not finite for black, white or noisy images.",
            "It may expect another pixel range (see --pixels), or its weights are not finite.",
        )
    within = probed.min() >= -PROBABILITY_TOLERANCE and probed.max() <= 1 + PROBABILITY_TOLERANCE
    if count == 1 and len(labels) == 2:
        logit = activation is activations.linear and not within
        if not logit and activation is not activations.sigmoid:
            raise UsageError(
                f"{name} has one output for two labels, and the output may not be a probability: {found}.",
                'End it with layers.Dense(1, activation="sigmoid"), and save it again.',
            )
        told = "is a logit. Its sigmoid is the probability" if logit else "is the probability"
        notes.append(
            f"The one output of the model {told} of '{labels[1]}', the second label. Files return two probabilities, "
            f"'{labels[0]}' first. If the order is wrong, exchange the labels."
        )
        return _two_probabilities(output, logit)
    if count != len(labels):
        raise UsageError(
            f"{name} returns {shape_text(output.shape)}; there are {len(labels)} labels.",
            "Give one label per output, in the order of the outputs"
            + (", or two labels for one sigmoid." if count == 1 else "."),
        )
    if within and np.abs(probed.sum(axis=1) - 1).max() <= PROBABILITY_TOLERANCE:
        return output
    if activation is activations.linear:
        notes.append(f"The model returns logits ({found}): a softmax is added.")
        return layers.Softmax(name="probabilities")(output)
    if activation is activations.sigmoid:
        raise UsageError(
            f"{name} ends with a sigmoid for each of {count} labels (multi-label classification), so its outputs do "
            "not sum to 1. zoo exports only models for a single label per image.",
            'If each image has one label, train the model with activation="softmax" and categorical cross-entropy.',
        )
    raise UsageError(
        f"{name} does not return probabilities, and its outputs cannot be converted: {found}.",
        'End it with layers.Dense(classes, activation="softmax"), and save it again.',
    )


def _two_probabilities(output: Any, logit: bool) -> Any:
    """``(1 - p, p)`` for a probability ``p``. For a logit, the softmax of (0, logit), which is equivalent."""
    from keras import layers

    if logit:
        both = layers.Dense(2, use_bias=False, name="both")
        both.build((None, 1))
        both.set_weights([np.array([[0, 1]], np.float32)])
        return layers.Softmax(name="probabilities")(both(output))
    both = layers.Dense(2, name="probabilities")
    both.build((None, 1))
    both.set_weights([np.array([[-1, 1]], np.float32), np.array([1, 0], np.float32)])
    return both(output)
