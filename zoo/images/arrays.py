"""Checks images that are given as arrays. The error for an array that is not accepted contains a solution.

Training and prediction on arrays both use this module, so that they accept and refuse the same arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.images.probe import MAX_PIXELS

EXPECTED = "uint8 arrays of shape (height, width, 3), red first, or (height, width) for gray"

MULTIPLY = "Multiply by 255: numpy.rint(images * 255).astype(numpy.uint8)."


def is_array(value: object) -> bool:
    """Whether the value is a NumPy array, or can be converted to one, such as a tensor."""
    return hasattr(value, "__array__")


def described(value: object) -> str:
    """Describes a value in a message: its type, and dtype and shape of an array."""
    if is_array(value) and hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} of {value.dtype}, shape {tuple(value.shape)}"
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 60 else type(value).__name__


def as_array(value: Any, name: str) -> NDArray[Any]:
    """Converts a tensor of TensorFlow, PyTorch or JAX to a NumPy array. NumPy arrays are returned unchanged.

    Raises:
        DataError: The value is not an array, contains Python objects, or has masked values.
    """
    if not is_array(value):
        raise DataError(f"{name} is not an array. Received: {described(value)}.", "Convert it with numpy.asarray.")
    if np.ma.is_masked(value):
        raise DataError(
            f"{name} is a masked array, and some of its values are masked.", "Replace them: images.filled(0)."
        )
    try:
        array = np.asarray(value)
    except Exception as error:  # a tensor on a GPU, or one that records gradients; each library raises its own error
        raise DataError(
            f"Could not read {name} as a NumPy array: {error}.", "For a PyTorch tensor: tensor.detach().cpu().numpy()."
        ) from error
    if array.dtype == object:
        raise DataError(
            f"{name} contains Python objects (dtype object, shape {array.shape}) instead of numbers.",
            "For images of different sizes, give a list of uint8 arrays: list(images).",
        )
    return array


def as_picture(value: Any, name: str) -> NDArray[np.uint8]:
    """Converts to one image: RGB ``(height, width, 3)`` or gray ``(height, width)``, uint8.

    Other integer types and floating point numbers are accepted if all values are whole numbers from 0 to 255, so that
    no information is lost.

    Args:
        value: An array or a tensor. A gray image may have a last axis of length 1.
        name: Name of the value in messages, such as ``images[3]``.

    Raises:
        DataError: The shape, type or values of ``value`` are not those of an image.
    """
    array = as_array(value, name)
    _check_picture(array.shape, name)
    return _whole_bytes(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array, name)


def is_batch(shape: tuple[int, ...]) -> bool:
    """Whether an array of this shape contains several images: ``(n, height, width, channels)``, or gray images without
    the last axis."""
    return len(shape) == 4 or (len(shape) == 3 and shape[2] not in (1, 2, 3, 4))


def check_batch(shape: tuple[int, ...], name: str) -> None:
    """Refuses shapes other than ``(n, height, width, 3)``, ``(n, height, width, 1)`` and ``(n, height, width)``.

    Raises:
        DataError: The array has another shape. The message states the shape and a solution.
    """
    if is_batch(shape):
        if len(shape) == 4:
            _check_channels(shape[1:], name, "numpy.moveaxis(images, 1, -1)")
        return
    if len(shape) == 3:
        what, hint = "one image, not several", "Use images[None] to add a leading axis."
    elif len(shape) == 2:
        what, hint = (
            "one row of numbers for each image",
            "Restore height and width: images.reshape(-1, height, width).",
        )
    else:
        what, hint = f"an array of {len(shape)} dimensions", "Several images must be an array (n, height, width, 3)."
    raise DataError(f"Expected an array (n, height, width, 3). Received: {name} of shape {shape}, {what}.", hint)


def _check_picture(shape: tuple[int, ...], name: str) -> None:
    if len(shape) not in (2, 3):
        raise DataError(
            f"Expected an image (height, width, 3). Received: {name} of shape {shape}.",
            f"Images are {EXPECTED}.",
        )
    if len(shape) == 3:
        _check_channels(shape, name, "numpy.moveaxis(image, 0, -1)")
    if 0 in shape:
        raise DataError(f"{name} of shape {shape} contains no pixels.", "Remove it.")
    if shape[0] * shape[1] > MAX_PIXELS:
        raise DataError(
            f"{name} has {shape[1]} x {shape[0]} pixels, more than {MAX_PIXELS // 10**6} Mpx.", "Make it smaller."
        )


def _check_channels(shape: tuple[int, ...], name: str, channels_last: str) -> None:
    """Checks the last axis of ``(height, width, channels)``."""
    channels = shape[2]
    if channels in (1, 3):
        return
    received = f"Expected 3 channels (or 1, gray) on the last axis. Received: {name} with {channels}"
    if shape[0] in (1, 3):
        raise DataError(
            f"{received} on the last axis and {shape[0]} before height and width: it is channels-first.",
            f"Move them: {channels_last}.",
        )
    if channels == 4:
        raise DataError(
            f"{received}: RGBA?", "Remove the alpha channel, images[..., :3], or composite the images on white first."
        )
    if channels == 2:
        raise DataError(f"{received}: gray with transparency?", "Remove the alpha channel: images[..., 0].")
    raise DataError(f"{received}.", f"Images are {EXPECTED}.")


def _whole_bytes(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """The same values as uint8, if no value changes."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "iuf":
        hint = "Give uint8: images.astype(numpy.uint8) * 255." if array.dtype == bool else f"Images are {EXPECTED}."
        raise DataError(f"Expected numbers from 0 to 255. Received: {name} of type {array.dtype}.", hint)
    least, most = array.min(), array.max()
    if not np.isfinite(least) or not np.isfinite(most):  # min and max propagate NaN
        raise DataError(f"{name} contains NaN or infinite values.", "Find the source of these values.")
    whole = array.dtype.kind != "f" or bool((np.rint(array) == array).all())
    if whole and least >= 0 and most <= 255:
        return array.astype(np.uint8)
    received = f"Expected whole numbers from 0 to 255. Received: {name}, {array.dtype} from {least:g} to {most:g}"
    if least < 0:
        scaled = "Undo the scaling; from -1 to 1 it is numpy.rint((images + 1) * 127.5).astype(numpy.uint8)."
        raise DataError(f"{received}.", scaled)
    if most <= 1:
        raise DataError(f"{received}.", MULTIPLY)
    if most > 255:
        hint = "For 16 bits: numpy.rint(images / 257).astype(numpy.uint8)."
        raise DataError(f"{received}.", hint if most <= 65535 else f"Images are {EXPECTED}.")
    raise DataError(
        f"{received}, including fractions.",
        "Round them, numpy.rint(images).astype(numpy.uint8), or give the original files.",
    )
