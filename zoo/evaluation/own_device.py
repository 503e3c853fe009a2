"""Predictions on one device of this host, with a model whose variables are distributed among several hosts."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras


def on_own_device(model: keras.Model) -> Callable[[NDArray[Any]], Any] | None:
    """A function that predicts a batch on the first device of this host, if the variables are on several hosts.

    Returns:
        ``None`` for all other models.
    """
    import keras

    if keras.backend.backend() != "jax" or not model.variables:
        return None
    if getattr(model.variables[0].value, "is_fully_addressable", True):
        return None
    values = [variable.value.addressable_data(0) for variable in model.variables]
    function = _functions.get(model)
    if function is None:
        import jax

        kept = weakref.ref(model)

        def call(values: list[Any], images: Any) -> Any:
            live = kept()
            assert live is not None
            with keras.StatelessScope(state_mapping=list(zip(live.variables, values, strict=True))):
                return live(images, training=False)

        function = _functions[model] = jax.jit(call)
    return lambda images: function(values, images)


_functions: weakref.WeakKeyDictionary[keras.Model, Callable[..., Any]] = weakref.WeakKeyDictionary()
