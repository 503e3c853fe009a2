"""All private names of Keras that zoo uses, in one place, because a release of Keras may change them.

Keras 3 has no public way to walk the calls of a functional model, nor to list every layer inside a layer.
``tests/test_keras_internals.py`` lists the names, and fails if a private name is used elsewhere. This module is the
reason for the upper bound of Keras in ``pyproject.toml``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def layers_of(layer: keras.Layer) -> list[keras.Layer]:
    """A layer and all nested layers."""
    return list(layer._flatten_layers())


def maker(tensor: Any) -> Any:
    """The operation that computes a symbolic tensor. ``None`` for other tensors."""
    history = getattr(tensor, "_keras_history", None)
    return history.operation if history else None


def called_once(operation: Any) -> bool:
    """Whether an operation is called only once in all models."""
    return len(operation._inbound_nodes) == 1


def has_calls(model: Any) -> bool:
    """Whether Keras stores the calls of a model, which is true only for functional models."""
    return hasattr(model, "_nodes_by_depth")


def calls_of(model: Any) -> Iterator[Any]:
    """The calls of a functional model in order, without inputs.

    Each has ``operation``, ``input_tensors``, ``outputs`` and ``arguments``, which are public names.
    """
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from (node for node in model._nodes_by_depth[depth] if not node.is_input)


def lay_out_every_batch() -> None:
    """Makes Keras on JAX divide every batch of an epoch among the devices according to the size of that batch.

    Keras divides all batches among the devices like the first one, and fails if the last batch is smaller. This
    replacement gives the same result for batches of equal size. A batch that is on the devices already is not changed.
    """
    import jax
    from keras.src.backend.jax import trainer

    def divided(self: Any, distribution: Any) -> Iterator[Any]:
        for batch in self.data_adapter.get_jax_iterator():
            yield batch if isinstance(batch[0], jax.Array) else trainer._distribute_data(batch)

    trainer.JAXEpochIterator._get_distributed_iterator = divided
