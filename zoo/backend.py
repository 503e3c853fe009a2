"""Starting Keras without the page of notices its backend prints."""

from __future__ import annotations

import logging
import os

from zoo.quiet import stderr_aside


def hush() -> None:
    """Keeps the notices of TensorFlow back from now on; those of errors remain."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def start_keras() -> str:
    """Imports Keras, wakes its backend, and returns the backend's name.

    TensorFlow 2.21 writes to the file descriptor before its own log level is in force, so the descriptor is turned
    aside meanwhile. What was written comes out after all if the start fails, or with ``TF_CPP_MIN_LOG_LEVEL=0``.
    """
    hush()
    with stderr_aside():
        import keras

        keras.ops.convert_to_numpy(keras.ops.zeros(()))
    return str(keras.backend.backend())


def devices() -> list[str]:
    """The backend's devices, such as ``cpu:0``; none on PyTorch, which has no list to ask for."""
    import keras

    return [] if keras.backend.backend() == "torch" else keras.distribution.list_devices()


def on_accelerator() -> bool:
    """Whether the backend computes on something else than a processor, as far as it can be asked."""
    return any(not device.startswith("cpu") for device in devices())
