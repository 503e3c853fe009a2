"""Building, compiling and copying models on any backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.backend import on_accelerator
from zoo.errors import PluginCodeError, PluginError, UsageError
from zoo.interfaces import Architecture
from zoo.recipe import Recipe
from zoo.training.batch_norm import fuse_batch_norm
from zoo.training.loss import make_loss
from zoo.training.optimizer import make_optimizer


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers created in the block use the policy ``name``. The previous policy is restored afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build_model(
    architecture: Architecture,
    input_shape: tuple[int, int, int],
    num_classes: int,
    options: Mapping[str, Any] | None = None,
    precision: str = "float32",
) -> keras.Model:
    """Builds the architecture's model and checks it against the contract.

    Args:
        architecture: Its record.
        input_shape: ``(height, width, 3)``.
        num_classes: Number of classes of the head.
        options: Arguments of ``build``, such as ``dropout`` or ``width``.
        precision: Keras dtype policy of its layers.

    Raises:
        PluginError: The model does not map raw pixels to one probability per class.
        UsageError: ``build`` does not accept an option.
    """
    try:
        with dtype_policy(precision):
            model = architecture.build(input_shape, num_classes, **(options or {}))
    except (TypeError, PluginCodeError) as error:
        cause = error.cause if isinstance(error, PluginCodeError) else error
        if options and isinstance(cause, TypeError) and "unexpected keyword argument" in str(cause):
            raise UsageError(
                f"Architecture '{architecture.name}' does not accept all given options: {cause}."
            ) from cause
        raise
    if not isinstance(model, keras.Model):
        raise PluginError(f"Architecture '{architecture.name}' built {type(model).__name__}, not a keras.Model.")
    expected = ((None, *input_shape), (None, num_classes))
    received = (model.input_shape, model.output_shape)
    if received != expected:
        raise PluginError(
            f"Architecture '{architecture.name}' built a model of input and output shapes {received}.",
            f"Expected {expected}: one image as input, one probability per class as output.",
        )
    return model


def split_model(model: keras.Model, backbone_end: str) -> tuple[keras.Model, keras.Model]:
    """Splits a model into backbone and head, which share its layers, so that training the head trains the model.

    Args:
        model: A functional model.
        backbone_end: Name of the layer whose output is the feature vector.

    Raises:
        PluginError: The layer does not exist.
    """
    try:
        features = model.get_layer(backbone_end).output
    except ValueError as error:
        raise PluginError(
            f"The model '{model.name}' has no layer '{backbone_end}', which its architecture declares as the end of"
            " its backbone."
        ) from error
    # The numbers in Keras's automatic names would change the key of the cached features of a resumed run.
    return keras.Model(model.inputs[0], features, name="backbone"), keras.Model(features, model.outputs[0], name="head")


def unfreeze(model: keras.Model, backbone_end: str, share: float, batch_norm_momentum: float | None = None) -> None:
    """Makes only the last ``share`` of the backbone's layers and the head trainable.

    Args:
        model: A functional model.
        backbone_end: Name of the layer whose output is the feature vector.
        share: 0 to 1.
        batch_norm_momentum: Momentum of the moving statistics of BatchNorm, which then trains with the other layers.
            ``None``: BatchNorm keeps its statistics and its weights.
    """
    backbone = keras.Model(model.inputs[0], model.get_layer(backbone_end).output).layers
    frozen = round(len(backbone) * (1 - share))
    for index, layer in enumerate(backbone):
        layer.trainable = index >= frozen
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable &= batch_norm_momentum is not None
            layer.momentum = batch_norm_momentum or layer.momentum


def compile_model(model: keras.Model, recipe: Recipe, steps_per_epoch: int) -> None:
    """Compiles with the optimizer, schedule, loss and metrics of the recipe. All variables are created immediately.

    Otherwise, TensorFlow would trace the training step a second time, because the first trace would create variables.
    """
    fuse_batch_norm(model)
    model.compile(
        optimizer=make_optimizer(recipe, steps_per_epoch, model.trainable_variables),
        loss=make_loss(recipe),
        weighted_metrics=["accuracy"],
        # On a CPU, XLA was measured to be 3 to 15 times slower than TensorFlow's default.
        jit_compile=False if keras.backend.backend() == "tensorflow" and not on_accelerator() else "auto",
    )
    model.optimizer.build(model.trainable_variables)
    one_image = keras.ops.ones((1, *model.output_shape[1:]))
    model.compute_metrics(None, one_image, one_image)
    model.reset_metrics()


def learning_rate(model: keras.Model) -> float:
    """The learning rate of the next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def get_weights(variables: Iterable[keras.Variable]) -> list[NDArray[np.generic]]:
    """Copies of the values, as NumPy arrays."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def set_weights(variables: Iterable[keras.Variable], values: Iterable[NDArray[np.generic]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
