"""A digest of a model that is the same on every machine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def model_digest(model: keras.Model) -> str:
    """SHA-256 over the weights of a model in order, with their shapes. It does not depend on names and versions."""
    import keras

    digest = hashlib.sha256()
    for variable in model.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable), np.float32)
        digest.update(repr(value.shape).encode())
        digest.update(value.data)
    return digest.hexdigest()
