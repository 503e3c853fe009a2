"""Starts Keras without the log messages of its backend."""

from __future__ import annotations

import logging
import os

from zoo.quiet import stderr_aside


def hush() -> None:
    """Suppresses log messages of TensorFlow, except errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def start_keras() -> str:
    """Imports Keras, initialises its backend, and returns the backend's name.

    TensorFlow 2.21 writes to stderr before its log level takes effect. Therefore stderr is captured during the start.
    The captured text is printed if the start fails, or with ``TF_CPP_MIN_LOG_LEVEL=0``.
    """
    hush()
    with stderr_aside():
        import keras

        keras.ops.convert_to_numpy(keras.ops.zeros(()))
    return str(keras.backend.backend())


def devices() -> list[str]:
    """The backend's devices, such as ``cpu:0``. Empty on PyTorch, which provides no list."""
    import keras

    return [] if keras.backend.backend() == "torch" else keras.distribution.list_devices()


def on_accelerator() -> bool:
    """Whether the backend uses an accelerator instead of the CPU, as far as this is known."""
    return any(not device.startswith("cpu") for device in devices())
