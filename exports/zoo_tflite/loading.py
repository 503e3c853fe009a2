"""Loads the runtime for devices, and converts its errors to those of zoo."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from zoo import ExportError, Runtime
from zoo.quiet import stderr_aside
from zoo_tflite import runtime


def load(path: Path, threads: int) -> Runtime:
    """Like ``zoo_tflite.runtime.load``, but raises ``ExportError`` if the file cannot be read."""
    try:
        # runtime.py does not import zoo, so its TensorInfo has the same fields but is another class.
        with stderr_aside(only=b"INFO: "):  # LiteRT prints how it computes
            return cast(Runtime, runtime.load(path, threads))
    except ValueError as error:
        raise ExportError(str(error), "Export the model again.") from error
