"""Checks that a file stores its weights in the requested precision, to detect exporters that ignore it."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.interfaces import Exporter
from zoo.parity.result import size_bytes

if TYPE_CHECKING:
    import keras

#: Minimum share of the elements of kernels that an int8 file stores in 8 bits. Some tensors may stay in float.
LEAST_IN_8_BITS = 0.25
#: Minimum share of the elements of large tensors that a float16 file stores in 16 bits. Small ones may stay in float32.
_LEAST_IN_HALF = 0.5
_LARGE = 65_536
#: If an exporter does not report the stored types, a file is treated as float32 if it has at least this share of the
#: size of the float32 weights.
_LIKE_FLOAT32 = 0.9
#: Minimum size of the weights in bytes for this check. In smaller files, names, labels and structure may need more
#: space than the weights.
_LEAST_BYTES = 1_000_000


def stored_problem(exporter: Exporter, path: Path, precision: str, model: keras.Model) -> str | None:
    """A sentence if an ``int8`` or ``float16`` file stores its weights as float32. ``None`` otherwise.

    Args:
        exporter: The exporter of the file. If it has no ``stored``, the size of the file is checked.
        path: The file.
        precision: The requested precision.
        model: The Keras model from which it was exported.
    """
    shapes = [tuple(variable.shape) for variable in model.weights]
    kernels = sum(prod(shape) for shape in shapes if len(shape) > 1)
    large = sum(prod(shape) for shape in shapes if prod(shape) >= _LARGE)
    names: tuple[str, ...]
    if precision == "int8":
        names, least = ("int8", "uint8"), LEAST_IN_8_BITS * kernels
    elif precision == "float16":
        names, least = ("float16",), _LEAST_IN_HALF * large
    else:
        return None
    name = f"The exporter '{exporter.name}' should write {precision}"
    if exporter.stored is not None:
        stored = exporter.stored(path)
        found = sum(stored.get(dtype, 0) for dtype in names)
        if found >= least:
            return None
        return (
            f"{name}, but its file stores {stored.get('float32', 0):,} numbers as float32 and {found:,} as {precision}."
        )
    whole = 4 * sum(prod(shape) for shape in shapes)
    size = size_bytes(exporter.files(path))
    small = precision == "float16" and large < _LEAST_IN_HALF * whole / 4
    if small or whole < _LEAST_BYTES or size < _LIKE_FLOAT32 * whole:
        return None
    return f"{name}, but its file of {size:,} bytes is as large as the weights in float32, {whole:,} bytes."
