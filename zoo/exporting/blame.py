"""Explains why a file stores weights as float32: layers have no 8-bit form, or the exporter ignores the precision."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from zoo.errors import ExportError
from zoo.figures import percent
from zoo.parity.stored import LEAST_IN_8_BITS

if TYPE_CHECKING:
    import keras


def stored_error(problem: str, precision: str, model: keras.Model) -> ExportError:
    """The error for a file that ``stored_problem`` found.

    Args:
        problem: The problem that was found.
        precision: Precision of the file.
        model: The prepared model that was converted.
    """
    from zoo.exporting.fold import LINEAR

    sizes = {
        layer: sum(prod(kernel.shape) for kernel in layer.weights if len(kernel.shape) > 1) for layer in model.layers
    }
    others = {layer: size for layer, size in sizes.items() if not isinstance(layer, LINEAR)}
    share = sum(others.values()) / max(sum(sizes.values()), 1)
    if precision != "int8" or 1 - share >= LEAST_IN_8_BITS:
        return ExportError(
            problem, f"Export without --precision {precision}, and report this to the author of the exporter."
        )
    largest = max(others, key=lambda layer: others[layer])
    return ExportError(
        f"int8 stores the weights of convolutions and dense layers in 8 bits, and {percent(share)} of the weights of "
        f"this model belong to other layers. The largest is the {type(largest).__name__} layer '{largest.name}'.",
        "Export --precision float16, which stores the weights of every layer in 16 bits.",
    )
