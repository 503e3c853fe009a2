"""A functional Keras model as a list of calls that can be inspected and replayed with changes.

Keras stores the calls as nodes between symbolic tensors. Passes that prepare a model for export need the predecessors
and successors of a call, and then rebuild the model with some calls removed, replaced or followed by others. Nested
models are expanded, so that a backbone that is called as one layer appears as the layers in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.errors import ExportError
from zoo.keras_internals import calls_of, has_calls

#: Layers that have no effect after training.
TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.AlphaDropout,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
)

#: Layers whose output is a row of probabilities, or of logits, if their input is one.
_KEEPING = (
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.AveragePooling2D,
)

#: A value of the graph: the call that computes it, and the index of the output.
Source = tuple["Call", int]


@dataclass(eq=False)
class Call:
    """One call of a layer or an operation.

    Args:
        name: Name of the layer, with ``_2`` and so on for further calls.
        operation: The layer or operation. ``None`` for the model's input.
        sources: The arguments of the call, in order.
        users: The calls that use any of its outputs.
        invoke: Calls the layer, or another layer in its place, with new values instead of the sources.
        shapes: Shapes of its outputs, with batch size ``None``.
        is_float: Whether its outputs are floating point numbers, and not the truth values of a comparison, for example.
    """

    name: str
    operation: Any
    sources: list[Source]
    invoke: Callable[[Any, Sequence[Any]], Any]
    shapes: tuple[tuple[int | None, ...], ...]
    users: list[Call] = field(default_factory=list)
    is_float: bool = True

    @property
    def only_source(self) -> Call | None:
        """The preceding call, if there is exactly one."""
        return self.sources[0][0] if len(self.sources) == 1 else None

    @property
    def only_user(self) -> Call | None:
        """The following call, if there is exactly one."""
        return self.users[0] if len(self.users) == 1 else None

    def __repr__(self) -> str:
        return f"<{type(self.operation).__name__} {self.name}>"


class Graph:
    """The calls of a model, in the order they are made.

    Args:
        model: A functional (or sequential) model with one input and one output.

    Raises:
        ExportError: The model has no Keras graph, such as a subclassed model, or has several inputs or outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        functional = _functional(model)
        if functional is None:
            raise ExportError(
                f"The model '{model.name}' is a {type(model).__name__}: its layers are called in Python code, "
                "so Keras has no graph of them.",
                "Build it with keras.Model(inputs, outputs).",
            )
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise ExportError(
                f"The model '{model.name}' has {len(model.inputs)} inputs and {len(model.outputs)} outputs.",
                "A classifier must have one input and one output.",
            )
        self.model = functional
        self.calls: list[Call] = []
        self._names: set[str] = set()
        first = self._add("image", None, [], lambda layer, values: None, [tuple(functional.input_shape)])
        (self.output,) = self._trace(functional, [(first, 0)])
        for call in self.calls:
            for source, _ in call.sources:
                if call not in source.users:
                    source.users.append(call)

    @property
    def input(self) -> Call:
        return self.calls[0]

    def called_once(self, call: Call) -> bool:
        """Whether its layer is called only once, so that its weights are not shared."""
        return sum(other.operation is call.operation for other in self.calls) == 1

    def free_name(self, wanted: str) -> str:
        """Reserves the name ``wanted``, with a number appended if it is taken."""
        numbers = (f"{wanted}_{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([wanted], numbers) if name not in self._names)
        self._names.add(name)
        return name

    def _add(
        self,
        name: str,
        operation: Any,
        sources: list[Source],
        invoke: Callable[..., Any],
        shapes: Iterable[tuple[int | None, ...]],
    ) -> Call:
        call = Call(self.free_name(name), operation, sources, invoke, tuple(shapes))
        self.calls.append(call)
        return call

    def _trace(self, model: Any, inputs: Sequence[Source]) -> list[Source]:
        """Adds the calls of a functional model with inputs ``inputs``, and returns its outputs."""
        known: dict[int, Source] = {id(tensor): source for tensor, source in zip(model.inputs, inputs, strict=True)}
        for node in calls_of(model):
            sources = [known[id(tensor)] for tensor in node.input_tensors]
            operation = node.operation
            nested = _functional(operation)
            if nested is not None:
                outputs = self._trace(nested, sources)
            else:
                shapes = [tuple(tensor.shape) for tensor in node.outputs]
                call = self._add(operation.name, operation, sources, _invoker(node), shapes)
                call.is_float = all(keras.backend.is_float_dtype(tensor.dtype) for tensor in node.outputs)
                outputs = [(call, index) for index in range(len(node.outputs))]
            known.update({id(tensor): source for tensor, source in zip(node.outputs, outputs, strict=True)})
        return [known[id(tensor)] for tensor in model.outputs]

    def rebuild(
        self,
        change: Callable[[Call, list[Any]], Any] | None = None,
        more: Callable[[Callable[[Call], Any]], Sequence[Any]] | None = None,
    ) -> keras.Model:
        """Builds a new model with the same calls, in float32 and with its own weights.

        Args:
            change: Called for every call with the new values of its sources. It returns a replacement of the call's
                output, or ``None`` to keep the call unchanged.
            more: Creates further outputs from the new values of calls.
        """
        image = keras.Input(self.model.input_shape[1:], name="image", dtype="float32")
        made: dict[tuple[Call, int], Any] = {(self.input, 0): image}
        copies: dict[int, Any] = {}
        for call in self.calls[1:]:
            values = [made[source] for source in call.sources]
            result = change(call, values) if change else None
            if result is None:
                result = call.invoke(self._copy(call, copies), values)
            for index, value in enumerate(result if isinstance(result, (list, tuple)) else [result]):
                made[call, index] = value
        outputs = [made[self.output], *more(lambda call: made[call, 0])] if more else made[self.output]
        rebuilt = keras.Model(image, outputs, name=self.model.name)
        rebuilt.trainable = False
        return rebuilt

    @staticmethod
    def _copy(call: Call, copies: dict[int, Any]) -> Any:
        layer = call.operation
        if id(layer) not in copies:
            # The copy has the name of the call, because layers of two nested models may have the same name.
            copies[id(layer)] = copy_layer(layer, name=call.name) if isinstance(layer, keras.Layer) else layer
        return copies[id(layer)]


def _functional(model: Any) -> Any:
    """The functional model of ``model``. ``None`` if there is none."""
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs, model.outputs, name=model.name) if model.built else None
    return model if isinstance(model, keras.Model) and has_calls(model) else None


def has_graph(model: keras.Model) -> bool:
    """Whether a model has the Keras graph that ``Graph`` needs."""
    return _functional(model) is not None


def last_activation(model: keras.Model) -> Callable[[Any], Any] | None:
    """The activation of a model's single output, or ``keras.activations.linear`` if its last layer has none.

    After the activation, only layers for reshaping or averaging, or without effect in inference such as Dropout, are
    allowed. ``None``: another operation computes the output.
    """
    call: Call | None = Graph(model).output[0]
    while call is not None:
        operation = call.operation
        if isinstance(operation, keras.layers.Softmax) or type(operation).__name__ in ("Softmax", "Sigmoid"):
            found: Callable[[Any], Any] = keras.activations.get(type(operation).__name__.lower())
            return found
        activation: Callable[[Any], Any] | None = getattr(operation, "activation", None)
        if activation is not None:
            return activation
        if not isinstance(operation, (*TRAINING_ONLY, *_KEEPING)):
            return None
        call = call.only_source
    return None


def copy_layer(layer: keras.Layer, with_weights: bool = True, **changes: Any) -> keras.Layer:
    """A copy of a layer with the same configuration and weights, in float32.

    Args:
        layer: A built layer.
        with_weights: If ``False``, the copy is not built, and the caller sets the weights.
        changes: Changed settings.

    Raises:
        ExportError: The configuration of the layer creates a layer with other weights.
    """
    config = layer.get_config()
    if "dtype" in config:  # the configuration of a Pipeline has none
        config["dtype"] = "float32"
    config |= changes
    copy = type(layer).from_config(config)
    if layer.weights:
        built = layer.get_build_config()
        if built:
            copy.build_from_config(built)
        else:
            copy.build(layer.input.shape)
        if not with_weights:
            return copy
        if [tuple(weight.shape) for weight in copy.weights] != [tuple(weight.shape) for weight in layer.weights]:
            raise ExportError(
                f"The {type(layer).__name__} layer '{layer.name}' cannot be copied: a layer with its configuration has "
                f"weights of shape {_shapes(copy)}, but the layer has {_shapes(layer)}.",
                "Its get_config() must describe the layer completely. After model.quantize(), the original model must "
                "be exported.",
            )
        copy.set_weights(layer.get_weights())
        if isinstance(copy, keras.layers.Normalization):
            copy.finalize_state()  # its constants are computed from the weights that `adapt` has set
    return copy


def _shapes(layer: keras.Layer) -> str:
    return ", ".join(str(tuple(weight.shape)) for weight in layer.weights) or "none"


def to_array(variable: Any) -> NDArray[np.float32]:
    """A copy of a variable's value, float32."""
    return np.array(keras.ops.convert_to_numpy(variable), np.float32)


def _invoker(node: Any) -> Callable[[Any, Sequence[Any]], Any]:
    tensors = node.input_tensors

    def invoke(operation: Any, values: Sequence[Any]) -> Any:
        filled = {id(tensor): value for tensor, value in zip(tensors, values, strict=True)}
        given = {id(value) for value in values}
        arguments, keywords = keras.tree.map_structure(
            lambda value: _constant(value) if id(value) not in given else value, node.arguments.fill_in(filled)
        )
        if isinstance(operation, keras.Layer):
            keywords["training"] = False  # like model.predict; otherwise an augmentation layer would augment
        return operation(*arguments, **keywords)

    return invoke


def _constant(value: Any) -> Any:
    """Converts a tensor to an array.

    Converters treat an array as a constant, but a tensor as a further input of the graph.
    """
    return keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value
